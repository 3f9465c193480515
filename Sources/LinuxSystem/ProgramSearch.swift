import Glibc

/// Where a command is, as execvp(3) would find it, but before anything is started.
///
/// A name without a slash is looked up in `path` (colon-separated; empty parts are skipped, since "the current
/// directory" of a supervisor is nobody's intent). A relative one is taken from `directory`.
/// - Returns: an absolute path of a file with an execute permission bit for somebody, or nil. Whether *this* user may
///   run it only execve knows.
package func findProgram(_ name: String, in directory: String, path: String) -> String? {
  func isProgram(_ candidate: String) -> Bool {
    var status = stat()
    return stat(candidate, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && status.st_mode & 0o111 != 0
  }
  if name.isEmpty { return nil }
  if name.utf8.contains(UInt8(ascii: "/")) {
    let absolute = name.hasPrefix("/") ? name : directory + "/" + name
    return isProgram(absolute) ? absolute : nil
  }
  for folder in path.split(separator: ":") {
    let base = folder.hasPrefix("/") ? String(folder) : directory + "/" + folder
    if isProgram(base + "/" + name) { return base + "/" + name }
  }
  return nil
}
