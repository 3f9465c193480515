import CLinux
import Glibc

/// What a child shall be, completely: nothing is taken from the parent that is not said here, except its cgroup.
///
/// The child gets an empty signal mask, default handlers, and exactly the descriptors named; it outlives its parent
/// unless that is said (PDEATHSIG is tied to a thread and would end workers together with a crashed supervisor).
package struct SpawnRequest: Sendable {
  /// Absolute, or with a slash and then relative to `directory`. See ``findProgram(_:in:path:)`` for names without one.
  package var program: String
  /// The first is the program's own name.
  package var arguments: [String]
  package var environment: [String: String]
  /// Variables that shall hold the child's own pid, written by the child itself: LISTEN_PID, WATCHDOG_PID.
  package var pidVariables: [String] = []
  /// nil: the caller's.
  package var directory: String?
  /// nil: /dev/null.
  package var standardInput: Descriptor?
  /// nil: /dev/null.
  package var standardOutput: Descriptor?
  /// nil: as standard output.
  package var standardError: Descriptor?
  /// The child's descriptors 3, 4, … without a gap.
  package var descriptors: [Descriptor] = []
  package var session: Session = .newSession
  package var umask: UInt32 = 0o022
  package var limits: [ResourceLimit] = []
  /// nil: the caller's. Setting one needs CAP_SETUID and CAP_SETGID.
  package var identity: Identity?
  package var noNewPrivileges = false
  /// After everyone else for processor and disk (nice 10, lowest best effort), with all it starts.
  package var yields = false
  /// Killed when the thread that spawned it ends; not what it started.
  package var endsWithParent = false
  /// A directory of cgroup v2 the child is born in, so that there is no moment outside of it.
  package var cgroup: Descriptor?

  package enum Session: Hashable, Sendable {
    /// pid = process group = session, no terminal.
    case newSession
    case newGroup
    case same
  }

  package init(program: String, arguments: [String], environment: [String: String]) {
    self.program = program
    self.arguments = arguments
    self.environment = environment
  }
}

/// Who a process is to the kernel: numbers only, looked up before.
package struct Identity: Hashable, Sendable {
  package var user: UInt32
  package var group: UInt32
  /// All supplementary groups; empty means none.
  package var groups: [UInt32]

  package init(user: UInt32, group: UInt32, groups: [UInt32]) {
    self.user = user
    self.group = group
    self.groups = groups
  }
}

/// A running child. Reaping it is ``Reaper``'s work; the pidfd is for signals that can never reach another process.
package struct SpawnedProcess: Sendable {
  package let pid: Int32
  package let pidfd: Descriptor
}

/// Why there is no child. Nothing is left behind.
package struct SpawnError: Error, Hashable, Sendable, CustomStringConvertible {
  package enum Stage: String, Hashable, Sendable {
    case arguments = "prepare"
    case open
    case clone = "clone"
    case cgroup = "clone into cgroup"
    case session = "make a session for"
    case descriptors = "place descriptors of"
    case limits = "set limit"
    case groups = "set groups"
    case user = "set user"
    case directory = "enter directory"
    case privileges = "set no-new-privileges of"
    case exec
  }
  package let stage: Stage
  package let subject: String
  package let errno: Int32

  /// `exec ./main: ENOENT No such file or directory`
  package var description: String {
    "\(stage.rawValue) \(subject): \(ErrorNumber.name(errno)) \(ErrorNumber.text(errno))"
  }
}

extension SpawnRequest {
  /// Starts the child and returns after its execve succeeded.
  ///
  /// Blocks only for the few hundred microseconds until execve. ENOENT at `exec` of a file that exists means its
  /// interpreter (`#!`) is missing.
  package func spawn() throws(SpawnError) -> SpawnedProcess {
    guard !arguments.isEmpty,
      ([program, directory ?? ""] + arguments + environment.map { $0 + $1 }).allSatisfy({ !$0.utf8.contains(0) }),
      environment.keys.allSatisfy({ !$0.isEmpty && !$0.utf8.contains(UInt8(ascii: "=")) })
    else { throw SpawnError(stage: .arguments, subject: program, errno: EINVAL) }
    let input = try Self.given(standardInput, orNothing: O_RDONLY)
    let output = try Self.given(standardOutput, orNothing: O_WRONLY)
    let sources = [input, output, standardError ?? output] + descriptors

    var request = cl_spawn()
    request.umask = umask & 0o777
    request.session =
      switch session {
      case .newSession: CL_SPAWN_NEW_SESSION
      case .newGroup: CL_SPAWN_NEW_GROUP
      case .same: CL_SPAWN_SAME_GROUP
      }
    request.no_new_privileges = noNewPrivileges
    request.yields = yields
    request.ends_with_parent = endsWithParent
    request.cgroup = cgroup?.raw ?? -1
    if let identity {
      request.set_identity = true
      request.user = identity.user
      request.group = identity.group
    }
    let pid = withExtendedLifetime((sources, cgroup)) { start(&request, sources.map(\.raw)) }
    guard pid > 0 else { throw failure(of: request) }
    return SpawnedProcess(pid: pid, pidfd: Descriptor(owning: request.pidfd))
  }

  private static func given(_ stream: Descriptor?, orNothing flags: Int32) throws(SpawnError) -> Descriptor {
    if let stream { return stream }
    do throws(SystemError) {
      return try Descriptor.open("/dev/null", flags: flags)
    } catch { throw SpawnError(stage: .open, subject: error.subject, errno: error.errno) }
  }

  /// Lays out the C strings and arrays, and makes the call while they live.
  private func start(_ request: inout cl_spawn, _ sources: [Int32]) -> Int32 {
    var strings = CStrings()
    let programIndex = strings.add(program)
    let directoryIndex = directory.map { strings.add($0) }
    let argumentIndices = arguments.map { strings.add($0) }
    var variables: [Int] = []
    var slots: [Int] = []
    for (name, value) in environment where !pidVariables.contains(name) {
      variables.append(strings.add("\(name)=\(value)"))
    }
    for name in pidVariables {
      let index = strings.add("\(name)=" + String(repeating: "0", count: Int(CL_PID_DIGITS)))
      variables.append(index)
      slots.append(index + name.utf8.count + 1)
    }
    let limits = limits.map { cl_limit(resource: $0.kind.number, soft: $0.soft, hard: $0.hard) }
    let groups = identity?.groups ?? []

    return strings.withPointers { at in
      let argumentPointers = argumentIndices.map { Optional(at($0)) } + [nil]
      let variablePointers = variables.map { Optional(at($0)) } + [nil]
      let slotPointers = slots.map { Optional(at($0)) }
      request.program = UnsafePointer(at(programIndex))
      request.directory = directoryIndex.map { UnsafePointer(at($0)) }
      return argumentPointers.withUnsafeBufferPointer { arguments in
        variablePointers.withUnsafeBufferPointer { variables in
          slotPointers.withUnsafeBufferPointer { slots in
            sources.withUnsafeBufferPointer { sources in
              limits.withUnsafeBufferPointer { limits in
                groups.withUnsafeBufferPointer { groups in
                  request.arguments = arguments.baseAddress
                  request.environment = variables.baseAddress
                  request.pid_slots = slots.baseAddress
                  request.pid_slot_count = slots.count
                  request.descriptors = sources.baseAddress
                  request.descriptor_count = sources.count
                  request.limits = limits.baseAddress
                  request.limit_count = limits.count
                  request.groups = groups.baseAddress
                  request.group_count = groups.count
                  return cl_spawn(&request)
                }
              }
            }
          }
        }
      }
    }
  }

  private func failure(of request: cl_spawn) -> SpawnError {
    let index = Int(request.failed_index)
    let (stage, subject): (SpawnError.Stage, String) =
      switch request.failed_stage {
      case CL_SPAWN_SESSION: (.session, program)
      case CL_SPAWN_DESCRIPTORS: (.descriptors, program)
      case CL_SPAWN_LIMITS:
        (.limits, limits.indices.contains(index) ? "\(limits[index])" : program)
      case CL_SPAWN_GROUPS: (.groups, "of gid \(identity?.group ?? 0)")
      case CL_SPAWN_USER: (.user, "uid \(identity?.user ?? 0)")
      case CL_SPAWN_DIRECTORY: (.directory, directory ?? ".")
      case CL_SPAWN_PRIVILEGES: (.privileges, program)
      case CL_SPAWN_EXEC: (.exec, program)
      default: (cgroup == nil ? .clone : .cgroup, program)
      }
    return SpawnError(stage: stage, subject: subject, errno: request.failed_errno)
  }
}

/// C strings in one block of memory, addressed by offset until it no longer moves.
private struct CStrings {
  private var bytes: [CChar] = []

  mutating func add(_ text: String) -> Int {
    let offset = bytes.count
    bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
    bytes.append(0)
    return offset
  }

  mutating func withPointers<Result>(_ body: ((Int) -> UnsafeMutablePointer<CChar>) -> Result) -> Result {
    bytes.append(0)
    return bytes.withUnsafeMutableBufferPointer { buffer in
      // Not nil: the array has at least the byte added above.
      guard let start = buffer.baseAddress else { preconditionFailure("an array of bytes without memory") }
      return body { start + $0 }
    }
  }
}
