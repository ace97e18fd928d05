#!/usr/bin/env bash
# Run by ctest with its environment. Prints what it does; fails at the first thing that does not work.
set -eu
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
PREFIX=$WORK/prefix

echo "-- installing into $PREFIX"
"$CMAKE" --install "$BUILD_DIR" --prefix "$PREFIX" --component library >"$WORK/install.log"
for file in include/floe/floe.h include/floe/floe.hpp "$LIBDIR/libfloe.so" \
    "$LIBDIR/pkgconfig/floe.pc" "$LIBDIR/cmake/floe/floeConfig.cmake" \
    "$LIBDIR/cmake/floe/floeConfigVersion.cmake"; do
  test -e "$PREFIX/$file" || { echo "missing: $file"; exit 1; }
done
# The prefix may be moved afterwards.
mv "$PREFIX" "$WORK/moved"
PREFIX=$WORK/moved
if grep -rl "$BUILD_DIR" "$PREFIX/$LIBDIR/cmake" "$PREFIX/$LIBDIR/pkgconfig" "$PREFIX/include"; then
  echo "the installed files name the build folder"
  exit 1
fi

echo "-- exported symbols"
nm -D --defined-only "$PREFIX/$LIBDIR/libfloe.so" | awk '{print $3}' | sed 's/@.*//' >"$WORK/symbols"
functions=$(grep -c '^floe_' "$WORK/symbols")
others=$(grep -v -e '^floe_' -e '^FLOE_0$' "$WORK/symbols" || true)
echo "$functions functions"
test "$functions" -ge 30
test "$functions" -le 40
if [ -n "$others" ] && [ -z "$CONSUMER_FLAGS" ]; then
  echo "exported besides floe_*: $others"
  exit 1
fi
if [ -z "$CONSUMER_FLAGS" ]; then
  echo "-- needed libraries"
  readelf -d "$PREFIX/$LIBDIR/libfloe.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' >"$WORK/needed"
  if grep -v -E '^(libc|libm|libstdc\+\+|libgcc_s|libgcov|libpthread|ld-linux-.*)\.so' "$WORK/needed"
  then
    echo "libfloe.so needs more than the C and C++ libraries"
    exit 1
  fi
fi

"$SAMPLES" "$WORK"
export LD_LIBRARY_PATH=$PREFIX/$LIBDIR

echo "-- C, pkg-config"
export PKG_CONFIG_PATH=$PREFIX/$LIBDIR/pkgconfig
test "$("$PKG_CONFIG" --modversion floe)" != ""
# shellcheck disable=SC2046,SC2086
"$CC" -std=c99 -pedantic -Wall -Wextra -Werror $CONSUMER_FLAGS "$SOURCE_DIR/c_consumer/main.c" \
  $("$PKG_CONFIG" --cflags --libs floe) -o "$WORK/c_consumer"
"$WORK/c_consumer" "$WORK/mlp.floe"
if "$WORK/c_consumer" "$WORK/absent.floe"; then exit 1; fi

echo "-- C++, find_package"
"$CMAKE" -S "$SOURCE_DIR/cpp_consumer" -B "$WORK/cpp" -DCMAKE_PREFIX_PATH="$PREFIX" \
  -DCMAKE_CXX_COMPILER="$CXX" -DCMAKE_CXX_FLAGS="$CONSUMER_FLAGS" -DCMAKE_BUILD_TYPE="$BUILD_TYPE" \
  -DWITH_STATIC="$STATIC" >"$WORK/configure.log" || { cat "$WORK/configure.log"; exit 1; }
"$CMAKE" --build "$WORK/cpp" >"$WORK/build.log" || { cat "$WORK/build.log"; exit 1; }
"$WORK/cpp/consumer" "$WORK/mlp.floe"
if [ "$STATIC" = 1 ]; then
  echo "-- C++, libfloe.a alone"
  env -u LD_LIBRARY_PATH "$WORK/cpp/consumer_static" "$WORK/mlp.floe"
fi
echo "-- ok"
