package import Deployment
internal import Glibc
package import LinuxSystem
package import Vocabulary

extension OperationRequest {
  /// Puts what comes from `descriptor` (`--from -`) beside the request, so that whoever does the work needs no terminal.
  ///
  /// It may take as much room as is left free beside it: unpacked it needs no less. `interruption` is readable when the
  /// person wants no more of it; `free` says how much is free where a path lies. What was taken is gone when this throws.
  package mutating func takeInput(
    _ descriptor: Int32, _ layout: Layout, interruption: Descriptor? = nil,
    free: (String) throws(SystemError) -> ByteCount = { (path) throws(SystemError) in try DiskSpace.at(path).free }
  ) throws(StepFailure) {
    let path = "\(layout.operation(operation))/source"
    do throws(StepFailure) {
      let file = try asFailure { () throws(SystemError) in
        for folder in [layout.deploys, layout.operation(operation)] where mkdir(folder, 0o750) != 0 && errno != EEXIST {
          throw SystemError("make", folder, errno: errno)
        }
        return try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
      }
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      var taken: UInt64 = 0
      while case let count = try read(descriptor, &buffer, interruption), count > 0 {
        taken += UInt64(count)
        let left = try asFailure { () throws(SystemError) in try free(layout.deploys) }
        guard taken + UInt64(count) <= left.bytes else {
          throw StepFailure(
            .refused,
            "standard input is longer than \(ByteCount(taken - UInt64(count))), and \(left) are free in \(layout.directory): "
              + "unpacked it needs at least as much again", next: "make room, or see what comes there")
        }
        try asFailure { () throws(SystemError) in try write(buffer[..<count], to: file, path) }
      }
      from = path
    } catch {
      _ = unlink(path)
      _ = rmdir(layout.operation(operation))
      throw error.kind == .aborted ? error : StepFailure(.refused, error.what, next: error.next)
    }
  }

  private func read(
    _ descriptor: Int32, _ buffer: inout [UInt8], _ interruption: Descriptor?
  ) throws(StepFailure) -> Int {
    var pollers = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: interruption?.raw ?? -1, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&pollers, 2, -1) < 0, errno == EINTR {}
    if pollers[1].revents != 0 {
      throw StepFailure(.aborted, "it was broken off before all of standard input was there")
    }
    return try asFailure { () throws(SystemError) in
      try retrying("read", "standard input") { Glibc.read(descriptor, &buffer, buffer.count) }
    }
  }

  private func write(_ bytes: ArraySlice<UInt8>, to file: Descriptor, _ path: String) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
      rest = rest.dropFirst(
        try retrying("write", path) { rest.withUnsafeBytes { Glibc.write(file.raw, $0.baseAddress, $0.count) } })
    }
  }
}
