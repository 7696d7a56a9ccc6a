// Which instruction sets there are. One that cannot be had must be refused by name.
#include <stdexcept>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

int main() {
#if defined(__aarch64__)
  const std::string narrowest = "neon";
#else
  const std::string narrowest = "baseline";
#endif
  check(cpu::compiled_isas().front() == narrowest, "the first instruction set is " + narrowest);
  check(cpu::supported_isas().front() == narrowest, "every CPU has " + narrowest);
  for (const std::string& isa : cpu::supported_isas()) {
    check(isa == cpu::kernels_for(isa).isa, "the table of " + isa + " has its name");
  }
  std::string message;
  try {
    cpu::kernels_for("mmx");
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  check(message.find("'mmx'") != std::string::npos && message.find(narrowest) != std::string::npos,
        "an unknown instruction set is named, and what there is: " + message);
  return result("instruction_sets");
}
