# So that `ctest`, called in this folder, runs the tests of ./build (see CMakeLists.txt).
subdirs(build)
