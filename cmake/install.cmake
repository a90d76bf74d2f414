# Installs the component "development": library, headers, license, CMake package, pkg-config file.
include(CMakePackageConfigHelpers)

install(TARGETS lstmgen EXPORT lstmgen
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT development)
install(DIRECTORY cpp/include/lstmgen DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development
  FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/lstmgen COMPONENT development)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/lstmgen)
install(EXPORT lstmgen NAMESPACE lstmgen:: FILE lstmgen-targets.cmake DESTINATION ${package} COMPONENT development)
configure_package_config_file(cmake/lstmgen-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/lstmgen-config.cmake
  INSTALL_DESTINATION ${package} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/lstmgen-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lstmgen-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/lstmgen-config-version.cmake
  DESTINATION ${package} COMPONENT development)

# The .pc file finds its folders relative to itself, so that the prefix can be moved.
string(REGEX REPLACE "[^/]+" ".." up "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
  set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
  set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
  set(pc_prefix "\${pcfiledir}/${up}")
  set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
  set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
set(pc_libs "")
foreach(name IN LISTS cxx_libraries)
  string(APPEND pc_libs " -l${name}")
endforeach()
if(CMAKE_THREAD_LIBS_INIT AND kind STREQUAL "STATIC")
  string(APPEND pc_libs " ${CMAKE_THREAD_LIBS_INIT}")
endif()
configure_file(cmake/lstmgen.pc.in ${CMAKE_CURRENT_BINARY_DIR}/lstmgen.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/lstmgen.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig
  COMPONENT development)
