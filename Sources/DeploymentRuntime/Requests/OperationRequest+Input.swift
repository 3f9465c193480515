package import Deployment
internal import Glibc
internal import LinuxSystem
internal import Vocabulary

extension OperationRequest {
  /// Puts what comes from `descriptor` (`--from -`) beside the request, so that whoever does the work needs no terminal.
  package mutating func takeInput(_ descriptor: Int32, _ layout: Layout) throws(StepFailure) {
    let path = "\(layout.operation(operation))/source"
    do throws(SystemError) {
      for folder in [layout.deploys, layout.operation(operation)] where mkdir(folder, 0o750) != 0 && errno != EEXIST {
        throw SystemError("make", folder, errno: errno)
      }
      let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      while case let count = try retrying("read", "standard input", { Glibc.read(descriptor, &buffer, buffer.count) }),
        count > 0
      {
        try write(Array(buffer.prefix(count)), to: file, path)
      }
      from = path
    } catch {
      _ = unlink(path)
      _ = rmdir(layout.operation(operation))
      throw StepFailure(.refused, error)
    }
  }

  private func write(_ bytes: [UInt8], to file: Descriptor, _ path: String) throws(SystemError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      rest = rest.dropFirst(
        try retrying("write", path) { rest.withUnsafeBytes { Glibc.write(file.raw, $0.baseAddress, $0.count) } })
    }
  }
}
