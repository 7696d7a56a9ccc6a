#!/usr/bin/env bash
# g++ writes a weak copy of an inline virtual function into an object that only calls it, and a linker may keep that copy
# for the whole program. Where a file is compiled for AVX-512 and the rest for any x86-64, the program then holds AVX-512
# instructions outside of the part that is chosen at run time.
#
# What one would expect: an inline virtual function is emitted where the class's vtable is, and a file that only calls it
# through a reference to the abstract base emits nothing. So objects of several instruction sets may share such a class.
#
# What happens: from -O2 on, g++ guesses the target of a virtual call (-fdevirtualize-speculatively), compares the function
# pointer with that guess, and so has to emit the guessed function, compiled with the flags of this file. Of equal weak
# symbols the linker keeps the first.
#
# Versions: g++ 12.2.0 (Debian 12.2.0-14+deb12u1), binutils 2.40; clang of ziglang 0.17.1 (PyPI) for comparison.
# Output seen, x86-64 Linux:
#   g++ -O2 -mavx512f: weak Host::mark() in the object that calls it: yes, with VEX-encoded instructions
#   linked first, Host::mark() of the whole program is the AVX-512 copy: yes
#   g++ -O2 -mavx512f -fno-devirtualize-speculatively: no
#   clang -O2 -mavx512f: no
# What it means: virtual functions of a class that objects of several instruction sets share are defined out of line, in a
# file compiled for the narrowest of them.
# Exit status: 0 while it is so; 1 when it has changed; 77 where there is no g++ for x86-64.
set -euo pipefail
command -v g++ nm objdump > /dev/null && [ "$(uname -m)" = x86_64 ] || { echo "needs g++, nm and objdump on x86-64"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet ziglang==0.17.1

cat > host.h <<'CPP'
struct Mark {
  long used = 0, blocks = 0, allowed = 0;
};
struct Host {
  virtual ~Host() = default;
  virtual float* memory(long count) = 0;
  virtual Mark mark() const { return {}; }
};
CPP
cat > wide.cpp <<'CPP'
#include "host.h"
// Calls the host alone: it makes no object of the class, and derives none from it.
long room_taken(Host& host) { return host.mark().used; }
CPP
cat > main.cpp <<'CPP'
#include "host.h"
long room_taken(Host& host);
struct Plain : Host {
  float* memory(long) override { return nullptr; }
};
int main() {
  Plain plain;
  return static_cast<int>(room_taken(plain));
}
CPP

holds_weak_copy() { nm --demangle "$1" | grep -q ' W Host::mark() const'; }
is_wide() { objdump --disassemble --demangle "$1" | awk '/<Host::mark\(\) const>:/ {on = 1; next} /^$/ {on = 0} on' | grep -q 'vpxor\|vxorps\|vmovdqu\|vmovups'; }
said() { if "$@"; then echo yes; else echo no; fi; }

g++ --version | head -n 1
g++ -std=c++17 -O2 -mavx512f -c wide.cpp -o wide.o
emitted=$(said holds_weak_copy wide.o) encoded=$(said is_wide wide.o)
echo "g++ -O2 -mavx512f: weak copy in the object that calls it: $emitted, VEX-encoded: $encoded"
g++ -std=c++17 -O2 -c main.cpp -o main.o
g++ wide.o main.o -o program
linked=$(said is_wide program)
echo "linked first, the whole program's is the AVX-512 copy: $linked"
g++ -std=c++17 -O2 -mavx512f -fno-devirtualize-speculatively -c wide.cpp -o without.o
without=$(said holds_weak_copy without.o)
echo "g++ with -fno-devirtualize-speculatively: $without"
venv/bin/python -m ziglang c++ -target x86_64-linux-gnu -std=c++17 -O2 -mavx512f -c wide.cpp -o clang.o
clang=$(said holds_weak_copy clang.o)
echo "clang -O2 -mavx512f: $clang"

[ "$emitted $encoded $linked $without $clang" = "yes yes yes no no" ] || { echo "changed"; exit 1; }
