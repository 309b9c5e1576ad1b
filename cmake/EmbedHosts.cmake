# cmake -DFOLDER=hosts -DFILES=a|b -DOUT=file.cc -P EmbedHosts.cmake: writes the files as a source file (export/host_files.h).
string(REPLACE "|" ";" names "${FILES}")
set(code "#include \"gas/export/host_files.h\"\n\nnamespace gas {\nnamespace {\n\nconstexpr HostFile kHostFiles[] = {\n")
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name} text)
  string(APPEND code "    {\"${name}\", R\"gas_host(${text})gas_host\"},\n")
endforeach()
string(APPEND code "};\n\n}  // namespace\n\nstd::span<const HostFile> HostFiles() { return kHostFiles; }\n\n}  // namespace gas\n")
file(WRITE ${OUT} "${code}")
