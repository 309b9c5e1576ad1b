# What `cmake --install` gives: the program with its models, manual page and completion, and a package for other
# programs, find_package(gas): headers and a static library per folder of src/gas.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

# The program says itself what stands in its manual page and completion.
set(GAS_DOCUMENTS_FOLDER ${PROJECT_BINARY_DIR}/documents)
set(GAS_DOCUMENTS gas.1 gas.bash _gas)
list(TRANSFORM GAS_DOCUMENTS PREPEND ${GAS_DOCUMENTS_FOLDER}/)
file(MAKE_DIRECTORY ${GAS_DOCUMENTS_FOLDER})
add_custom_command(OUTPUT ${GAS_DOCUMENTS} WORKING_DIRECTORY ${GAS_DOCUMENTS_FOLDER} DEPENDS gas VERBATIM
                   COMMAND gas help --man > gas.1
                   COMMAND gas completion bash > gas.bash
                   COMMAND gas completion zsh > _gas)
add_custom_target(gas_documents ALL DEPENDS ${GAS_DOCUMENTS})
install(FILES ${GAS_DOCUMENTS_FOLDER}/gas.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${GAS_DOCUMENTS_FOLDER}/gas.bash DESTINATION share/bash-completion/completions RENAME gas)
install(FILES ${GAS_DOCUMENTS_FOLDER}/_gas DESTINATION share/zsh/site-functions)

# A LibTorch outside of the system's folders is found where it was linked.
set_target_properties(gas PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
install(TARGETS gas DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY models/ DESTINATION share/gas/models FILES_MATCHING PATTERN "*.safetensors" PATTERN "*.json")
install(DIRECTORY hosts/ DESTINATION share/gas/hosts FILES_MATCHING PATTERN "*.py" PATTERN "*.[ch]" PATTERN "*.txt"
        PATTERN "*.patch" PATTERN readme EXCLUDE PATTERN __pycache__ EXCLUDE)
install(FILES README.md LICENSE CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR})

# Every library but the command line's.
get_property(GAS_PACKAGE_LIBRARIES GLOBAL PROPERTY GAS_LIBRARIES)
list(REMOVE_ITEM GAS_PACKAGE_LIBRARIES gas_cli)
add_library(gas_all INTERFACE)
target_link_libraries(gas_all INTERFACE ${GAS_PACKAGE_LIBRARIES})
set_target_properties(gas_all PROPERTIES EXPORT_NAME gas)
foreach(library IN LISTS GAS_PACKAGE_LIBRARIES)
  string(REPLACE "gas_" "" name ${library})
  set_target_properties(${library} PROPERTIES EXPORT_NAME ${name})
endforeach()
target_compile_features(gas_core PUBLIC cxx_std_20)

install(TARGETS ${GAS_PACKAGE_LIBRARIES} gas_all EXPORT gasTargets DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY src/gas DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h" PATTERN cli EXCLUDE PATTERN precompiled.h EXCLUDE)
set(GAS_PACKAGE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/gas)
install(EXPORT gasTargets NAMESPACE gas:: DESTINATION ${GAS_PACKAGE_FOLDER})
configure_package_config_file(cmake/gasConfig.cmake.in ${PROJECT_BINARY_DIR}/gasConfig.cmake
                              INSTALL_DESTINATION ${GAS_PACKAGE_FOLDER})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gasConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/gasConfig.cmake ${PROJECT_BINARY_DIR}/gasConfigVersion.cmake
              cmake/FindLibTorch.cmake cmake/Findutf8proc.cmake
        DESTINATION ${GAS_PACKAGE_FOLDER})
