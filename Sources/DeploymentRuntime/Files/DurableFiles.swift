internal import CLinux
internal import Glibc
package import LinuxSystem
package import Vocabulary

/// Changes to files that a power cut or a kill at any instant leaves done or not done, never in between.
///
/// Durable means: what is new is written under a temporary name, synced, renamed, and the directory is synced. Every
/// rename, sync and write is an effect of its own. What a killed operation leaves over has a name of ``TemporaryName``.
/// Source: rename(2), fsync(2).
package struct DurableFiles {
  package let effects: Effects
  package let operation: OperationID

  package init(_ effects: Effects, operation: OperationID) {
    self.effects = effects
    self.operation = operation
  }

  /// The file holds `bytes` and nothing else afterwards, or is as it was.
  package func write(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o644) throws(SystemError) {
    let temporary = TemporaryName.beside(path, operation)
    try effects.perform(.write, temporary) { () throws(SystemError) in
      do throws(SystemError) { try Self.writeAndSync(bytes, temporary, mode) } catch {
        unlink(temporary)  // On a full disk nothing half-written is left.
        throw error
      }
    }
    try rename(temporary, over: path)
  }

  private static func writeAndSync(_ bytes: [UInt8], _ path: String, _ mode: UInt32) throws(SystemError) {
    // Of an earlier try of the same operation; anything else of that name would be followed or kept.
    unlink(path)
    let file = try Descriptor.open(path, flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600)
    try retrying("set the mode of", path) { fchmod(file.raw, mode_t(mode)) }
    try writeAll(bytes, to: file, path)
    try retrying("sync", path) { fsync(file.raw) }
  }

  /// `path` is a symbolic link to `target` afterwards. There is no moment without it, where it was one before.
  ///
  /// - Throws: EEXIST where something else than a symbolic link is there.
  package func replaceSymlink(_ path: String, with target: String) throws(SystemError) {
    if let facts = try FileFacts.ifPresent(path), facts.kind != .link {
      throw SystemError("replace the \(facts.kind.noun)", path, errno: EEXIST)
    }
    let temporary = TemporaryName.beside(path, operation)
    try makeSymlink(temporary, to: target)
    try rename(temporary, over: path)
  }

  /// Under a name of ours, in place of what is there; not synced.
  func makeSymlink(_ path: String, to target: String) throws(SystemError) {
    try effects.perform(.symlink, "\(path) -> \(target)") { () throws(SystemError) in
      unlink(path)
      try retrying("link", path) { symlink(target, path) }
    }
  }

  /// In place of what is there, durably; both are in one directory.
  func rename(_ from: String, over path: String) throws(SystemError) {
    try effects.perform(.rename, path) { () throws(SystemError) in
      try retrying("rename to", path) { Glibc.rename(from, path) }
    }
    try syncDirectory(parentDirectory(of: path))
  }

  /// Renames, durably in both directories.
  ///
  /// - Throws: EEXIST where `to` is there.
  package func move(_ from: String, to: String) throws(SystemError) {
    try effects.perform(.rename, "\(from) -> \(to)") { () throws(SystemError) in
      try retrying("rename", "\(from) to \(to)") { cl_rename_new(from, to) }
    }
    try syncParents(of: from, to)
  }

  /// Each of the two names means what the other meant, in one instant.
  package func exchange(_ first: String, _ second: String) throws(SystemError) {
    try effects.perform(.exchange, "\(first) <-> \(second)") { () throws(SystemError) in
      try retrying("exchange", "\(first) and \(second)") { cl_exchange(first, second) }
    }
    try syncParents(of: first, second)
  }

  private func syncParents(of first: String, _ second: String) throws(SystemError) {
    let parents = (parentDirectory(of: first), parentDirectory(of: second))
    // What was gained first: a name too many can be found, one too few cannot.
    try syncDirectory(parents.1)
    if parents.0 != parents.1 { try syncDirectory(parents.0) }
  }

  /// A directory with exactly this mode, whatever the umask. One that is there is left as it is.
  package func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
    if let facts = try FileFacts.ifPresent(path) {
      guard facts.kind == .directory else { throw SystemError("make the directory", path, errno: ENOTDIR) }
      return
    }
    let temporary = TemporaryName.beside(path, operation)
    try effects.perform(.makeDirectory, path) { () throws(SystemError) in
      rmdir(temporary)
      try retrying("make the directory", path) { mkdir(temporary, 0o700) }
      // A directory in a setgid one is setgid itself: kept.
      let inherited = try FileFacts.of(temporary).mode & UInt32(S_ISGID)
      try retrying("set the mode of", path) { chmod(temporary, mode_t(mode | inherited)) }
      do throws(SystemError) { try retrying("make the directory", path) { cl_rename_new(temporary, path) } } catch {
        rmdir(temporary)
        if error.errno != EEXIST { throw error }
      }
    }
    try syncDirectory(parentDirectory(of: path))
  }

  /// With those above it that are missing.
  package func makeDirectories(_ path: String, mode: UInt32 = 0o755) throws(SystemError) {
    let parent = parentDirectory(of: path)
    if parent != path, try FileFacts.ifPresent(path) == nil { try makeDirectories(parent, mode: mode) }
    // Above may be links; only the last one must be a directory itself.
    if path != "/" { try makeDirectory(path, mode: mode) }
  }

  /// Removes a name that is no directory; that it is missing already is fine.
  package func remove(_ path: String) throws(SystemError) {
    guard try FileFacts.ifPresent(path) != nil else { return }
    try effects.perform(.unlink, path) { () throws(SystemError) in
      do throws(SystemError) { try retrying("remove", path) { unlink(path) } } catch {
        if error.errno != ENOENT { throw error }
      }
    }
    try syncDirectory(parentDirectory(of: path))
  }

  /// Removes a tree that nobody may find half removed: out of the way first, in one rename, then bit by bit.
  ///
  /// - Returns: what became free.
  @discardableResult
  package func discardTree(_ path: String) throws(SystemError) -> ByteCount {
    let temporary = TemporaryName.beside(path, operation, "gone-")
    let left = try removeTree(temporary)
    guard try FileFacts.ifPresent(path) != nil else { return left }
    try effects.perform(.rename, "\(path) -> \(temporary)") { () throws(SystemError) in
      try retrying("rename", path) { Glibc.rename(path, temporary) }
    }
    try syncDirectory(parentDirectory(of: path))
    return ByteCount(left.bytes &+ (try removeTree(temporary)).bytes)
  }

  /// Removes what nobody points at; missing is fine. See ``TreeRemoval``.
  @discardableResult
  package func removeTree(_ path: String) throws(SystemError) -> ByteCount {
    guard try FileFacts.ifPresent(path) != nil else { return ByteCount(0) }
    return try effects.perform(.removeTree, path, planned: ByteCount(0)) { () throws(SystemError) in
      try TreeRemoval.remove(path)
    }
  }

  /// All that was written into the tree is on the disk. One syncfs: a tree of many files is written in one go, where an
  /// fsync for each would wait for the journal as often. See docs/decisions.
  package func syncTree(_ path: String) throws(SystemError) {
    try effects.perform(.sync, path) { () throws(SystemError) in
      let directory = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
      try retrying("sync the file system of", path) { cl_sync_file_system(directory.raw) }
    }
  }

  package func syncDirectory(_ path: String) throws(SystemError) {
    try effects.perform(.sync, path) { () throws(SystemError) in
      let directory = try Descriptor.open(path, flags: O_RDONLY | O_DIRECTORY)
      try retrying("sync", path) { fsync(directory.raw) }
    }
  }

  package func syncFile(_ path: String) throws(SystemError) {
    try effects.perform(.sync, path) { () throws(SystemError) in
      let file = try Descriptor.open(path, flags: O_RDONLY | O_NOFOLLOW)
      try retrying("sync", path) { fsync(file.raw) }
    }
  }

  /// Copies a tree to where nothing is yet, without setuid and setgid bits; not synced. Directories, files and links
  /// only: anything else is EINVAL. See ``TreeCopy``.
  package func copyTree(
    _ from: String, to: String, skipping skipped: Set<TreePath> = [], _ manner: TreeCopy.Manner = .contents
  ) throws(SystemError) {
    try effects.perform(manner == .contents ? .write : .link, "\(from) -> \(to)") { () throws(SystemError) in
      try TreeCopy.copy(from, to: to, skipping: skipped, manner)
    }
  }

  /// Removes what killed operations left in a directory: those of `operation` only, or of all. Only right while the
  /// service's lock is held.
  package func sweep(_ directory: String, of operation: OperationID? = nil) throws(SystemError) {
    guard try FileFacts.ifPresent(directory)?.kind == .directory else { return }
    for name in try directoryEntries(directory) where TemporaryName.isOne(name, of: operation) {
      try removeTree("\(directory)/\(name)")
    }
  }
}

/// The names that unfinished things have: `.tmp-OPERATION-NAME`, beside what they will be.
package enum TemporaryName {
  package static func beside(_ path: String, _ operation: OperationID, _ what: String = "") -> String {
    var name = path.split(separator: "/").last.map(String.init) ?? ""
    // What is on its way out has another name than what is on its way in.
    let start = ".tmp-\(operation)-\(what)"
    while start.utf8.count + name.utf8.count > 255, !name.isEmpty { name.removeLast() }
    let parent = parentDirectory(of: path)
    return parent == "/" ? "/\(start)\(name)" : "\(parent)/\(start)\(name)"
  }

  package static func isOne(_ name: String, of operation: OperationID? = nil) -> Bool {
    name.hasPrefix(operation.map { ".tmp-\($0)-" } ?? ".tmp-")
  }
}

/// `/opt/x` of `/opt/x/current`; `.` of a single name.
package func parentDirectory(of path: String) -> String {
  var bytes = path.utf8[...]
  while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
  guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return "." }
  let parent = bytes[..<slash]
  return parent.isEmpty ? "/" : String(parent) ?? "/"
}

func writeAll(_ bytes: [UInt8], to file: Descriptor, _ subject: String) throws(SystemError) {
  var rest = bytes[...]
  while !rest.isEmpty {
    let count = try retrying("write", subject) {
      rest.withUnsafeBytes { Glibc.write(file.raw, $0.baseAddress, $0.count) }
    }
    rest = rest.dropFirst(count)
  }
}
