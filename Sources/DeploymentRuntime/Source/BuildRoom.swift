import CLinux
import Deployment
import Glibc
import LinuxSystem
import Settings
import Vocabulary

/// Lets a build write into a release whose files are partly those of the release before (hard links): it sees the
/// release at its own path, and whatever it changes becomes a copy, by an overlay in a mount namespace of the build's
/// own. Afterwards its changes are moved into the release. The files that are linked are never written.
///
/// Needs no right but that of making user namespaces, which some hosts withhold: ``isAvailable(_:)`` tries. There, and
/// for paths an overlay cannot name, nothing is linked and nothing is needed. Source: mount_namespaces(7), the kernel's
/// overlayfs documentation ("userxattr").
struct BuildRoom {
  private let operation: Operation
  private let directory: String
  private let upper: String
  private let lower: String

  /// For a release, by its path.
  init(_ operation: Operation, _ directory: String) {
    self.operation = operation
    self.directory = directory
    upper = TemporaryName.beside("\(directory).changes", operation.id)
    lower = TemporaryName.beside("\(directory).work", operation.id)
  }

  // The kernel's own root needs no user namespace, and in one of its own it could no longer give files away. Anyone else
  // is root in one while mounting, and itself again in a second one inside.
  private static let script = """
    set -e
    /bin/mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3$4" "$1"
    cd "$1"
    user=$5 group=$6
    shift 6
    if [ "$user" = 0 ]; then exec /usr/bin/env -- "$@"; fi
    exec /usr/bin/unshare -U --map-user="$user" --map-group="$group" -- "$@"
    """

  /// The same command, in the room.
  func enter(_ command: CommandRun) -> CommandRun {
    var inside = command
    let isRoot = geteuid() == 0
    inside.arguments =
      ["/usr/bin/unshare", isRoot ? "-m" : "-Urm", "--", "/bin/sh", "-c", Self.script, "sh", directory, upper, lower]
      + [isRoot ? "" : ",userxattr", "\(geteuid())", "\(getegid())"] + command.arguments
    return inside
  }

  /// Makes room for a build's changes.
  func open() throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in
      for place in [upper, lower] {
        try files.removeTree(place)
        try operation.effects.perform(.makeDirectory, place) { () throws(SystemError) in
          try retrying("make the directory", place) { mkdir(place, 0o755) }
        }
      }
    }
  }

  /// Moves the build's changes into the release.
  func close() throws(StepFailure) {
    let files = DurableFiles(operation.effects, operation: operation.id)
    try asFailure { () throws(SystemError) in
      try operation.effects.perform(.rename, "\(upper) -> \(directory)") { () throws(SystemError) in
        try Settling(operation, from: upper, to: directory).settle()
      }
      for place in [upper, lower] { try files.removeTree(place) }
    }
  }

  /// Whether a build can be given a room here: it is tried, with a file that is changed.
  static func isAvailable(_ operation: Operation) -> Bool {
    let layout = operation.layout
    // What an overlay's options cannot name, or the mount command reads otherwise.
    guard layout.directory.utf8.allSatisfy({ !":,\\\"'".utf8.contains($0) && $0 > 0x20 }) else { return false }
    let path = TemporaryName.beside("\(layout.releases)/trial", operation.id)
    let files = DurableFiles(operation.effects, operation: operation.id)
    do throws(StepFailure) {
      try asFailure { () throws(SystemError) in
        try files.removeTree(path)
        try operation.effects.perform(.write, path) { () throws(SystemError) in
          try retrying("make the directory", path) { mkdir(path, 0o755) }
          for name in ["changed", "removed"] {
            try writeAll(
              [0x61], to: try Descriptor.open("\(path)/\(name)", flags: O_WRONLY | O_CREAT, mode: 0o644), path)
          }
        }
      }
      let room = BuildRoom(operation, path)
      try room.open()
      var command = CommandRun(
        ["/bin/sh", "-c", "echo b > changed && rm removed && chmod +x changed"], in: layout.releases,
        environment: operation.plainEnvironment, subject: "a trial of a build's own view of the release")
      command.output = .captured(limit: 1 << 12)
      command.timeout = .seconds(10)
      command.isQuiet = true
      let result = try room.enter(command).run(operation)
      let original = try? readFile("\(path)/changed")
      try room.close()
      let changed = try? readFile("\(path)/changed")
      let isRemoved = (try? FileFacts.ifPresent("\(path)/removed")) == .some(nil)
      try asFailure { () throws(SystemError) in _ = try files.removeTree(path) }
      return result.hasSucceeded && original == [0x61] && changed == [0x62, 0x0A] && isRemoved
    } catch {
      _ = try? files.removeTree(path)
      return false
    }
  }
}

/// What an overlay's upper directory says of the lower one, done to it.
private struct Settling {
  private let from: String
  private let to: String
  private let gone: String
  private let target: Descriptor

  init(_ operation: Operation, from: String, to: String) throws(SystemError) {
    self.from = from
    self.to = to
    gone = TemporaryName.beside("\(to).gone", operation.id)
    target = try Descriptor.open(to, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  }

  func settle() throws(SystemError) {
    var modes: [(path: TreePath, mode: UInt32)] = []
    try TreeWalk.each(in: from) { (entry) throws(SystemError) in
      switch entry.facts.kind {
      case .directory:
        modes.append((entry.path, entry.facts.mode))
        // Its contents are to be moved out.
        fchmodat(entry.directory, entry.name, mode_t(entry.facts.mode | 0o700), 0)
        try directory(entry)
      // A whiteout: what it hides was removed. A build can make no other device.
      case .characterDevice: try remove(entry.path)
      default: try move(entry)
      }
    }
    for (path, mode) in modes.reversed() {
      _ = path.withPointer { fchmodat(target.raw, $0, mode_t(mode), 0) }
    }
  }

  private func directory(_ entry: TreeEntry) throws(SystemError) {
    let isThere = facts(entry.path).map { $0.st_mode & S_IFMT == S_IFDIR }
    if isThere == false || isThere == true && isOpaque(entry.path) { try remove(entry.path) }
    let code = entry.path.withPointer { mkdirat(target.raw, $0, 0o700) == 0 ? 0 : errno }
    if code != 0, code != EEXIST { throw SystemError("make the directory", "\(to)/\(entry.path)", errno: code) }
    // One of a release before is its own directory here: only files are linked.
    _ = entry.path.withPointer { fchmodat(target.raw, $0, 0o700, 0) }
  }

  private func move(_ entry: TreeEntry) throws(SystemError) {
    if let there = facts(entry.path), there.st_mode & S_IFMT == S_IFDIR { try remove(entry.path) }
    try retrying("move", "\(to)/\(entry.path)") {
      entry.path.withPointer { renameat(entry.directory, entry.name, target.raw, $0) }
    }
  }

  private func remove(_ path: TreePath) throws(SystemError) {
    guard facts(path) != nil else { return }
    try TreeRemoval.remove(gone)
    try retrying("remove", "\(to)/\(path)") { path.withPointer { renameat(target.raw, $0, AT_FDCWD, gone) } }
    try TreeRemoval.remove(gone)
  }

  private func facts(_ path: TreePath) -> stat? {
    var facts = stat()
    return path.withPointer { fstatat(target.raw, $0, &facts, AT_SYMLINK_NOFOLLOW) } == 0 ? facts : nil
  }

  /// Made anew where one was removed: nothing of that one shows through.
  private func isOpaque(_ path: TreePath) -> Bool {
    let place = (Array("\(from)/".utf8) + path.bytes + [0]).map { CChar(bitPattern: $0) }
    return ["user.overlay.opaque", "trusted.overlay.opaque"].contains { (name: String) in
      cl_attribute(place, name) == 0x79
    }
  }
}
