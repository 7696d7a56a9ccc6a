// Which instruction sets there are. One that cannot be had must be refused by name.
#include <stdexcept>

#include "support.h"

using namespace namegen;
using namespace namegen::test;

int main() {
  check(cpu::compiled_isas().front() == "baseline", "the first instruction set is the baseline");
  check(!cpu::supported_isas().empty(), "at least one instruction set is supported");
  for (const std::string& isa : cpu::supported_isas()) {
    check(isa == cpu::kernels_for(isa).isa, "the table of " + isa + " has its name");
  }
  std::string message;
  try {
    cpu::kernels_for("mmx");
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  check(message.find("'mmx'") != std::string::npos && message.find("baseline") != std::string::npos,
        "an unknown instruction set is named, and what there is: " + message);
  return result("instruction_sets");
}
