import CLinux
import Glibc

/// This process's own program, and another one in its place. Source: execve(2).
package enum ProgramImage {
  /// The file this process was started from, by the name it was started with: a package that replaces the program, or a
  /// link that names another version, is followed by this name, while /proc/self/exe stays with the old file.
  ///
  /// `argument` is `argv[0]`. Asked at the start: the current directory and PATH may change.
  package static func path(startedAs argument: String) -> String? {
    let running = link("/proc/self/exe")
    guard let found = absolute(argument), let real = realpath(found, nil) else { return running }
    defer { free(real) }
    // Somebody may have started it under another name.
    return running == nil || String(cString: real) == running ? found : running
  }

  /// Whether another file than that of this process lies at `path`. Source: proc_pid_exe(5).
  package static func isReplaced(at path: String) -> Bool {
    var running = stat()
    var lying = stat()
    guard stat("/proc/self/exe", &running) == 0, stat(path, &lying) == 0 else { return false }
    return running.st_ino != lying.st_ino || running.st_dev != lying.st_dev
  }

  private static func absolute(_ argument: String) -> String? {
    if argument.hasPrefix("/") { return argument }
    guard let here = getcwd(nil, 0) else { return nil }
    defer { free(here) }
    if argument.contains("/") { return "\(String(cString: here))/\(argument)" }
    let path = getenv("PATH").map { String(cString: $0) } ?? ""
    return findProgram(argument, in: String(cString: here), path: path)
  }

  private static func link(_ path: String) -> String? {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let count = readlink(path, &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The variables of this process, as they are now. One that is not text is left out.
  package static func environment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = cl_environment()
    while let text = entry?.pointee {
      let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
      entry = entry.map { $0 + 1 }
    }
    return variables
  }

  /// Puts `program` in place of this one: same pid, same children, and of all descriptors only the standard ones and
  /// `kept`. Returns only when that failed, with everything as it was.
  ///
  /// All signals are blocked on the way, and blocked when the new image begins: those that come meanwhile wait for it.
  /// Other threads end without a word. Call it on the thread that started the children.
  package static func replace(
    with program: String, arguments: [String], environment: [String: String], keeping kept: [Int32]
  ) -> SystemError {
    var strings = arguments.map { strdup($0) } + [nil]
    var variables = environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in strings + variables { free(text) } }
    let mask = SignalSource.blockAll()
    var failure: SystemError?
    do throws(SystemError) {
      for number in kept { try retrying("keep", "fd \(number)") { fcntl(number, F_SETFD, 0) } }
      execve(program, &strings, &variables)
      failure = SystemError("execute", program, errno: errno)
    } catch { failure = error }
    for number in kept { _ = fcntl(number, F_SETFD, FD_CLOEXEC) }
    SignalSource.restoreMask(mask)
    return failure ?? SystemError("execute", program, errno: EINVAL)
  }
}

extension Descriptor {
  /// A descriptor of a process, for signals. Only for a child that has not been reaped: its number is surely its own.
  package static func process(_ pid: Int32) throws(SystemError) -> Descriptor {
    Descriptor(owning: try retrying("open process", "\(pid)") { cl_open_process(pid) })
  }

  /// Takes a number that another image of this program left open, and makes it close-on-exec again.
  ///
  /// - Throws: EBADF when nothing is open there.
  package static func inherited(_ number: Int32) throws(SystemError) -> Descriptor {
    try retrying("take", "fd \(number)") { fcntl(number, F_SETFD, FD_CLOEXEC) }
    return Descriptor(owning: number)
  }
}
