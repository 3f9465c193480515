import CLinux
import Glibc

/// Bytes that no longer change, in a file without a name: what one program image leaves for the next.
/// Source: memfd_create(2), fcntl(2) on seals.
package enum SealedMemory {
  /// A sealed file with `bytes`, close-on-exec, at its beginning.
  package static func make(_ name: String, _ bytes: [UInt8]) throws(SystemError) -> Descriptor {
    let file = Descriptor(owning: try retrying("make a memory file") { cl_sealable_memory_file(name) })
    var written = 0
    while written < bytes.count {
      written += try retrying("write to", name) {
        bytes.withUnsafeBytes {
          pwrite(file.raw, $0.baseAddress.map { $0 + written }, $0.count - written, off_t(written))
        }
      }
    }
    try retrying("seal", name) { cl_seal(file.raw) }
    return file
  }

  /// Everything in it, at most `limit` bytes, whoever read from it before.
  ///
  /// - Throws: EINVAL for what is no sealed memory, which somebody may be writing to; EFBIG for more than `limit`.
  package static func read(_ file: Descriptor, limit: Int) throws(SystemError) -> [UInt8] {
    guard cl_is_sealed(file.raw) else { throw SystemError("read sealed memory from", "fd \(file.raw)", errno: EINVAL) }
    var status = stat()
    try retrying("look at", "fd \(file.raw)") { fstat(file.raw, &status) }
    let size = Int(status.st_size)
    guard size <= limit else { throw SystemError("read", "fd \(file.raw)", errno: EFBIG) }
    var bytes = [UInt8](repeating: 0, count: size)
    var count = 0
    while count < size {
      let taken = try retrying("read", "fd \(file.raw)") {
        bytes.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress.map { $0 + count }, size - count, off_t(count)) }
      }
      guard taken > 0 else { throw SystemError("read", "fd \(file.raw)", errno: EIO) }
      count += taken
    }
    return bytes
  }
}
