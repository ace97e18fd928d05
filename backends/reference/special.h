// Special functions that libm lacks or that are not safe to call from several threads, in double:
// the relative error is a few units of 1e-15 away from their zeros.
#ifndef FLOE_BACKENDS_REFERENCE_SPECIAL_H_
#define FLOE_BACKENDS_REFERENCE_SPECIAL_H_

namespace floe::reference {

// The y with erf(y) = x: infinite at -1 and 1, NaN beyond.
double InverseErf(double x);
// log |gamma(x)|, +infinity at 0, -1, -2, ...
double LogGamma(double x);
// The derivative of log gamma: infinite at zero with the sign against that of the zero, NaN at the
// negative integers.
double Digamma(double x);
// The modified Bessel function of the first kind of order 0.
double BesselI0(double x);

}  // namespace floe::reference

#endif  // FLOE_BACKENDS_REFERENCE_SPECIAL_H_
