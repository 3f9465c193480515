import Glibc
package import LinuxSystem
package import Vocabulary

/// Programs that outlived the operation that started them: it was killed, and nothing ended its commands. Found by the
/// operation in their environment, so that no other process is ever touched.
package enum Survivors {
  private static let waitLimit: Duration = .seconds(5)

  package static func of(_ operation: OperationID) -> [ProcessName] {
    let marker = Array("\(CommandEnvironment.operationName)=\(operation)".utf8)
    let names = (try? directoryEntries("/proc")) ?? []
    return names.compactMap { Int32($0) }.filter { pid in
      guard pid != getpid(), let environment = try? readFile("/proc/\(pid)/environ") else { return false }
      return environment.split(separator: 0).contains { $0.elementsEqual(marker) }
    }.map { ProcessName(pid: $0, command: ProcessTree.command(of: $0)) }
  }

  /// Kills them all, before anything of the operation is undone: a build that goes on would write into what is removed.
  ///
  /// - Returns: what is still there after some seconds, in an uninterruptible wait.
  package static func end(_ operation: OperationID, _ effects: Effects) throws(SystemError) -> [ProcessName] {
    guard !of(operation).isEmpty else { return [] }
    return try effects.perform(.kill, "what operation \(operation) left running", planned: []) {
      () throws(SystemError) in
      let deadline = Instant.monotonicNow() + waitLimit
      var left = of(operation)
      while !left.isEmpty, .monotonicNow() < deadline {
        for process in left { kill(process.pid, SIGKILL) }
        // Not our children: nothing tells of their end.
        _ = poll(nil, 0, 5)
        left = of(operation)
      }
      return left
    }
  }
}
