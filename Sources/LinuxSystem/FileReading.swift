import Glibc

/// The names in a directory, without `.` and `..`, in the kernel's order. Source: readdir(3).
package func directoryEntries(_ path: String) throws(SystemError) -> [String] {
  guard let directory = opendir(path) else { throw SystemError("list", path, errno: errno) }
  defer { closedir(directory) }
  var names: [String] = []
  while let entry = readdir(directory) {
    let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.append(name) }
  }
  return names
}

/// What a file holds, at most `limit` bytes.
///
/// - Throws: EFBIG when there is more, so that nobody works on half a file. Blocks as long as the disk does: not for the
///   loop, except for /proc and cgroup files.
package func readFile(_ path: String, limit: Int = 1 << 20) throws(SystemError) -> [UInt8] {
  let file = try Descriptor.open(path, flags: O_RDONLY)
  return try readAll(file, path, limit: limit)
}

/// From the current offset to the end; as ``readFile(_:limit:)``.
package func readAll(_ file: Descriptor, _ subject: String, limit: Int = 1 << 20) throws(SystemError) -> [UInt8] {
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: min(limit, 16_384) + 1)
  while true {
    let count = try retrying("read", subject) { read(file.raw, &buffer, buffer.count) }
    if count == 0 { return bytes }
    guard bytes.count + count <= limit else { throw SystemError("read", subject, errno: EFBIG) }
    bytes += buffer.prefix(count)
  }
}
