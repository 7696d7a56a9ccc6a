// What Python holds of a counting model. Samplers on any thread share what is in it, and need not know Python.
#pragma once

#include <memory>

#include "engine/counts/count_model.h"

namespace namegen::bindings {

struct PyCountModel {
  std::shared_ptr<const counts::CountModel> model;
};

}  // namespace namegen::bindings
