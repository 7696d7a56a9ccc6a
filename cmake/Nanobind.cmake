# What the module _core is bound to Python with: nanobind, where nanobind_DIR says or where the Python that is built for has
# it. The build copies it into the build folder first, as pip's isolated one moves from build to build.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module OPTIONAL_COMPONENTS Development.SABIModule)
if(NOT nanobind_DIR)
  execute_process(
    COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
    OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_DIR RESULT_VARIABLE namegen_status ERROR_QUIET)
  if(NOT namegen_status EQUAL 0)
    message(FATAL_ERROR "nanobind was not found for ${Python_EXECUTABLE}: pip install nanobind")
  endif()
endif()
find_package(nanobind CONFIG REQUIRED)
