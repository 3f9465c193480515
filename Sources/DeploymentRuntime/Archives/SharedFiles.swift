internal import Glibc
internal import LinuxSystem

/// What of `shared/` goes into a backup, looked at and not yet read.
struct SharedFiles {
  struct Item {
    let path: TreePath
    let kind: FileFacts.Kind
    let mode: UInt32
    let modified: Int64
    /// A SQLite database: its copy is taken.
    let isDatabase: Bool
  }

  /// Longer than a tick of the clock that file systems take their times from.
  static let tick: Int64 = 50_000_000

  /// In the order of ``TreePath``, with the directories above.
  private(set) var items: [Item] = []
  /// Sockets, pipes and devices, which no backup has; named paths that are not there.
  private(set) var leftOut: [String] = []
  /// See ``BackupHead/fingerprint``.
  private(set) var fingerprint: Digest?

  /// `excluded` as the tree has it: a shared path has the name of the link to it.
  static func look(
    at top: String, _ paths: [TreePath], excluded: Set<TreePath>
  ) throws(ArchiveError) -> SharedFiles {
    var look = Look(top: top, excluded: excluded)
    do throws(SystemError) {
      for path in paths.sorted() where !look.isDone(path) { try look.add(path) }
    } catch { throw ArchiveError(top, .system(error)) }
    return look.files()
  }

  private struct Look {
    let top: String
    let excluded: Set<TreePath>
    let began = RealTime.nanoseconds()
    var items: [TreePath: Item] = [:]
    var lines: [UInt8] = []
    var youngest: Int64 = 0
    var leftOut: [String] = []
    var done: [TreePath] = []

    init(top: String, excluded: Set<TreePath>) {
      self.top = top
      self.excluded = excluded
    }

    func isDone(_ path: TreePath) -> Bool { done.contains { path.isInside($0) } }

    mutating func add(_ path: TreePath) throws(SystemError) {
      done.append(path)
      let name = "\(top)/\(path.escaped)"
      guard let text = String(validating: path.bytes, as: UTF8.self),
        let facts = try FileFacts.ifPresent("\(top)/\(text)")
      else {
        leftOut.append("\(name) is not there")
        return
      }
      var above = path.parent
      while !above.isTop, items[above] == nil {
        let facts = try FileFacts.of("\(top)/\(String(decoding: above.bytes, as: UTF8.self))")
        // Nothing is looked for by way of a link.
        guard facts.kind == .directory else { throw SystemError("enter", "\(top)/\(above)", errno: ENOTDIR) }
        items[above] = Item(
          path: above, kind: .directory, mode: facts.mode, modified: facts.modified, isDatabase: false)
        above = above.parent
      }
      try note(path, facts)
      guard facts.kind == .directory else { return }
      let inside = excluded.compactMap { BackupLayout.path($0, below: path) }.filter { !$0.isTop }
      try TreeWalk.each(in: "\(top)/\(text)", skipping: Set(inside)) { (entry) throws(SystemError) in
        try note(BackupLayout.path(entry.path, in: path), entry.facts)
      }
    }

    private mutating func note(_ path: TreePath, _ facts: FileFacts) throws(SystemError) {
      guard !excluded.contains(path) else { return }
      switch facts.kind {
      case .file, .directory, .link: break
      case .socket, .pipe, .characterDevice, .blockDevice:
        leftOut.append("\(top)/\(path.escaped) is a \(facts.kind.noun)")
        return
      }
      var isDatabase = false
      if facts.kind == .file {
        try fingerprint(path)
        if facts.size >= 512 { isDatabase = SQLiteCopy.isDatabase(try start(of: path)) }
      } else {
        lines += Array("\(path.escaped) \(facts.mode) \(facts.modified)\n".utf8)
      }
      items[path] = Item(
        path: path, kind: facts.kind, mode: facts.mode, modified: facts.modified, isDatabase: isDatabase)
    }

    /// Change times are the kernel's own; nobody can set them.
    private mutating func fingerprint(_ path: TreePath) throws(SystemError) {
      // Shared memory of a database: no content.
      if path.bytes.suffix(4).elementsEqual("-shm".utf8) { return }
      var facts = stat()
      try retrying("look at", path.escaped) {
        (Array(top.utf8) + [UInt8(ascii: "/")] + path.bytes + [0]).withUnsafeBufferPointer { bytes in
          bytes.withMemoryRebound(to: CChar.self) { $0.baseAddress.map { lstat($0, &facts) } ?? -1 }
        }
      }
      let changed = Int64(facts.st_ctim.tv_sec) * 1_000_000_000 + Int64(facts.st_ctim.tv_nsec)
      youngest = max(youngest, changed)
      lines += Array("\(path.escaped) \(facts.st_mode) \(facts.st_size) \(changed) \(facts.st_ino)\n".utf8)
    }

    private func start(of path: TreePath) throws(SystemError) -> [UInt8] {
      let file = try SharedFiles.open(path, in: try Descriptor.open(top, flags: O_RDONLY | O_DIRECTORY))
      var bytes = [UInt8](repeating: 0, count: 16)
      let count = try retrying("read", path.escaped) { pread(file.raw, &bytes, 16, 0) }
      return Array(bytes.prefix(count))
    }

    /// A change within the clock's tick of the look cannot be told from one after it.
    func files() -> SharedFiles {
      var files = SharedFiles()
      let databases = items.values.filter(\.isDatabase).map(\.path)
      var companions: Set<TreePath> = []
      for path in databases {
        for ending in SQLiteCopy.companions { companions.insert(TreePath(trusted: path.bytes + Array(ending.utf8))) }
      }
      files.items = items.values.filter { !companions.contains($0.path) }.sorted { $0.path < $1.path }
      files.leftOut = leftOut
      files.fingerprint = youngest < began - SharedFiles.tick ? Digest.of(lines) : nil
      return files
    }
  }

  /// A file of a tree, never by way of a link at its end, never waiting for a pipe's writer.
  static func open(_ path: TreePath, in directory: Descriptor) throws(SystemError) -> Descriptor {
    let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    return Descriptor(
      owning: try retrying("open", path.escaped) { path.withPointer { openat(directory.raw, $0, flags) } })
  }
}
