internal import Glibc
internal import LinuxSystem
internal import Settings

/// Writes one backup into an open, empty file: the release's manifest, the release, what is shared, what of that was
/// found. See ``BackupLayout``. Nothing is synced or renamed here: see ``BackupStore``.
struct BackupWriter {
  struct Source {
    var head: BackupHead
    /// The manifest's file, as it lies beside the release.
    var manifestText: [UInt8]
    var manifest: Manifest
    /// Directories.
    var release: String
    var shared: String
    var sharedFiles: SharedFiles
    /// For copies of databases, which are gone afterwards.
    var staging: String
  }

  private let source: Source
  private let frames: FrameWriter
  private let subject: String
  private let manner: String
  private let abort: Descriptor?
  private let progress: (UInt64) -> Void

  /// How often a shared file that does not hold still is read again.
  private static let tries = 5

  init(
    _ source: Source, to output: Descriptor, subject: String, _ format: Settings.Deploy.Backup.Format, level: Int,
    abort: Descriptor?, progress: @escaping (UInt64) -> Void
  ) throws(ArchiveError) {
    self.source = source
    self.subject = subject
    self.abort = abort
    self.progress = progress
    manner = "\(format.rawValue) \(level)\n"
    frames = try FrameWriter(output, subject: subject, format, level: level)
  }

  /// Writes all of it. Chunks of the release that `base` has are taken over as they are: whether they are sound is for
  /// whoever reads back.
  func write(base: Base?, index: Bool) throws(ArchiveError) -> BackupOutline {
    let plan = ReleaseChunks.plan(source.manifest.items, manner: manner)
    try frames.chunk(nil) { () throws(ArchiveError) in
      try text(BackupLayout.head, source.head.text)
    }
    try frames.chunk(nil) { () throws(ArchiveError) in
      try text(BackupLayout.manifest, source.manifestText)
      try directory(BackupLayout.release, source.release)
    }
    let known = try writeRelease(plan, base)
    try frames.chunk(nil) { () throws(ArchiveError) in
      let manifest = try writeShared()
      try text(BackupLayout.sharedManifest, ManifestText.text(of: manifest))
      // The end mark. Source: tar(5).
      try frames.appendZeros(1_024)
    }
    try frames.takeAll()
    var outline = BackupOutline()
    outline.hasIndex = index
    outline.chunks = frames.chunks
    outline.end = frames.position
    outline.plan = plan
    outline.known = known
    outline.firsts = plan.map {
      BackupLayout.path(source.manifest.items[$0.items.lowerBound].path, in: BackupLayout.release)
    }
    outline.afterRelease = source.sharedFiles.items.isEmpty ? BackupLayout.sharedManifest : BackupLayout.shared
    if index { try frames.appendRaw(ArchiveIndex(frames.chunks).bytes) }
    return outline
  }

  // MARK: Entries

  private func text(_ path: TreePath, _ bytes: [UInt8]) throws(ArchiveError) {
    let entry = ArchiveEntry(
      path: path, kind: .file(size: UInt64(bytes.count)), mode: 0o600, modified: source.head.made * 1_000_000_000)
    try frames.append(TarHeader.bytes(of: entry))
    try frames.append(bytes)
    try frames.appendZeros(TarHeader.padding(after: UInt64(bytes.count)))
  }

  private func directory(_ path: TreePath, _ directory: String) throws(ArchiveError) {
    let facts = try system { () throws(SystemError) in try FileFacts.of(directory) }
    let entry = ArchiveEntry(path: path, kind: .directory, mode: facts.mode, modified: facts.modified)
    try frames.append(TarHeader.bytes(of: entry))
  }

  @discardableResult
  private func system<Answer>(_ body: () throws(SystemError) -> Answer) throws(ArchiveError) -> Answer {
    do throws(SystemError) { return try body() } catch { throw ArchiveError(subject, .system(error)) }
  }

  private func checkAbort() throws(ArchiveError) { try ArchiveError.throwIfAborted(abort, subject) }

  // MARK: The release

  /// - Returns: numbers of the chunks that were taken over.
  private func writeRelease(_ plan: [ReleaseChunks.Chunk], _ base: Base?) throws(ArchiveError) -> Set<Int> {
    let top = try system { () throws(SystemError) in
      try Descriptor.open(source.release, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }
    var known: Set<Int> = []
    var run = Run()
    for (number, chunk) in plan.enumerated() {
      if let base, let found = base.chunks[chunk.key] {
        if !run.isContinued(by: found) { try copy(&run, base) }
        run.append(found, chunk)
        known.insert(number)
      } else {
        if let base { try copy(&run, base) }
        try checkAbort()
        try frames.chunk(chunk.key) { () throws(ArchiveError) in
          for item in source.manifest.items[chunk.items] { try write(item, in: top) }
        }
        progress(frames.taken)
      }
    }
    if let base { try copy(&run, base) }
    return known
  }

  /// Chunks of the base that lie there as they will here.
  private struct Run {
    /// Compressed, so that nobody waits long for what it does.
    private static let most: UInt64 = 32 << 20
    private(set) var chunks: [ArchiveIndex.Chunk] = []
    private(set) var size: UInt64 = 0
    private var end: UInt64 = 0

    func isContinued(by chunk: ArchiveIndex.Chunk) -> Bool {
      guard let first = chunks.first else { return true }
      return chunk.offset == end && chunk.length <= Self.most && end - first.offset <= Self.most
    }

    mutating func append(_ found: ArchiveIndex.Chunk, _ chunk: ReleaseChunks.Chunk) {
      chunks.append(found)
      size += chunk.size
      end = found.offset &+ found.length
    }
  }

  private func copy(_ run: inout Run, _ base: Base) throws(ArchiveError) {
    guard !run.chunks.isEmpty else { return }
    try checkAbort()
    try frames.copy(run.chunks, of: base.file, size: run.size)
    run = Run()
    progress(frames.taken)
  }

  private func write(_ item: TreeItem, in top: Descriptor) throws(ArchiveError) {
    let path = BackupLayout.path(item.path, in: BackupLayout.release)
    switch item.content {
    case .file(let size, _):
      let file = try opened(item, in: top)
      var facts = stat()
      try system { () throws(SystemError) in try retrying("look at", path.escaped) { fstat(file.raw, &facts) } }
      guard UInt64(facts.st_size) == size else { throw differs(item, "has \(facts.st_size) bytes instead of \(size)") }
      let entry = ArchiveEntry(path: path, kind: .file(size: size), mode: item.mode, modified: facts.modified)
      try frames.append(TarHeader.bytes(of: entry))
      guard try copy(file, size, path, { _ in }) else { throw differs(item, "changed while it was read") }
      try frames.appendZeros(TarHeader.padding(after: size))
    case .directory, .link:
      var facts = stat()
      guard item.path.withPointer({ fstatat(top.raw, $0, &facts, AT_SYMLINK_NOFOLLOW) }) == 0 else {
        throw differs(item, "is missing")
      }
      let kind: ArchiveEntry.Kind =
        if case .link(let target) = item.content { .link(target: target) } else { .directory }
      try frames.append(
        TarHeader.bytes(of: ArchiveEntry(path: path, kind: kind, mode: item.mode, modified: facts.modified)))
    case .other: throw differs(item, "is no file, directory or link")
    }
  }

  private func opened(_ item: TreeItem, in top: Descriptor) throws(ArchiveError) -> Descriptor {
    do throws(SystemError) { return try SharedFiles.open(item.path, in: top) } catch {
      switch error.errno {
      case ENOENT, ENOTDIR: throw differs(item, "is missing")
      case ELOOP: throw differs(item, "is a link")
      default: throw ArchiveError(subject, .system(error))
      }
    }
  }

  private func differs(_ item: TreeItem, _ why: String) -> ArchiveError {
    ArchiveError("the release \(source.head.release)", .differs(entry: "\(item.path)", why: why))
  }

  /// Puts `size` bytes of a file in; false where it has fewer.
  private func copy(
    _ file: Descriptor, _ size: UInt64, _ path: TreePath, _ each: (UnsafeRawBufferPointer) -> Void
  ) throws(ArchiveError) -> Bool {
    var left = size
    while left > 0 {
      let space = try frames.space()
      let wanted = Int(min(UInt64(space.count), left))
      let count = try system { () throws(SystemError) in
        try retrying("read", path.escaped) { read(file.raw, space.baseAddress, wanted) }
      }
      if count == 0 { return false }
      each(UnsafeRawBufferPointer(rebasing: space[..<count]))
      frames.advance(count)
      left -= UInt64(count)
    }
    return true
  }

  // MARK: What is shared

  private func writeShared() throws(ArchiveError) -> Manifest {
    var items: [TreeItem] = []
    if !source.sharedFiles.items.isEmpty {
      let top = try system { () throws(SystemError) in
        try Descriptor.open(source.shared, flags: O_RDONLY | O_DIRECTORY)
      }
      try directory(BackupLayout.shared, source.shared)
      for item in source.sharedFiles.items {
        try checkAbort()
        items.append(try write(item, in: top))
        progress(frames.taken)
      }
    }
    let head = source.head
    let origin = Manifest.Origin(
      release: head.release, operation: head.operation, source: source.shared, who: "", made: head.made)
    return Manifest(origin: origin, outside: [], items: items, treeHash: Digest.of(ManifestText.lines(items)))
  }

  private func write(_ item: SharedFiles.Item, in top: Descriptor) throws(ArchiveError) -> TreeItem {
    let path = BackupLayout.path(item.path, in: BackupLayout.shared)
    switch item.kind {
    case .file:
      for _ in 0..<Self.tries { if let written = try tryFile(item, path, in: top) { return written } }
      throw ArchiveError(subject, .changing("\(source.shared)/\(item.path)"))
    case .link:
      let target = try system { () throws(SystemError) in
        try item.path.withPointer { (name) -> Result<[UInt8], SystemError> in
          do throws(SystemError) { return .success(try readLink(at: top.raw, name, item.path.escaped)) } catch {
            return .failure(error)
          }
        }.get()
      }
      let entry = ArchiveEntry(path: path, kind: .link(target: target), mode: 0o777, modified: item.modified)
      try frames.append(TarHeader.bytes(of: entry))
      return TreeItem(path: item.path, mode: 0o777, content: .link(target: target))
    default:
      // Setgid stays: it lets the service's group write.
      let entry = ArchiveEntry(path: path, kind: .directory, mode: item.mode & 0o3777, modified: item.modified)
      try frames.append(TarHeader.bytes(of: entry))
      return TreeItem(path: item.path, mode: entry.mode, content: .directory)
    }
  }

  /// nil where it changed, with nothing of it in the archive. That it has only grown is no change: a log as it was.
  private func tryFile(
    _ item: SharedFiles.Item, _ path: TreePath, in top: Descriptor
  ) throws(ArchiveError) -> TreeItem? {
    if item.isDatabase { try system(ofCopy: item) }
    defer { if item.isDatabase { unlink(source.staging) } }
    let file = try system { () throws(SystemError) in
      item.isDatabase ? try Descriptor.open(source.staging, flags: O_RDONLY) : try SharedFiles.open(item.path, in: top)
    }
    let before = try facts(of: file, path)
    let size = UInt64(before.st_size)
    let mode = item.mode & 0o777
    let mark = try frames.mark(before: size + 2_048)
    let entry = ArchiveEntry(path: path, kind: .file(size: size), mode: mode, modified: item.modified)
    try frames.append(TarHeader.bytes(of: entry))
    var hash = RunningHash()
    let isWhole = try copy(file, size, path) { hash.update($0) }
    let digest = hash.digest()
    let after = try facts(of: file, path)
    let held = after.st_size == before.st_size && after.changed == before.changed
    let hasGrown = after.st_size > before.st_size
    // A change within one tick of the clock leaves the change time as it was: only reading again tells.
    let isSure = held && before.changed < RealTime.nanoseconds() - SharedFiles.tick
    let isSame = isSure ? true : held || hasGrown ? try digestAgain(file, size, path) == digest : false
    guard isWhole, isSame else {
      try frames.goBack(to: mark)
      return nil
    }
    try frames.appendZeros(TarHeader.padding(after: size))
    return TreeItem(path: item.path, mode: mode, content: .file(size: size, digest: digest))
  }

  private func system(ofCopy item: SharedFiles.Item) throws(ArchiveError) {
    unlink(source.staging)
    try SQLiteCopy.make("\(source.shared)/\(String(decoding: item.path.bytes, as: UTF8.self))", source.staging)
  }

  private func facts(of file: Descriptor, _ path: TreePath) throws(ArchiveError) -> stat {
    var facts = stat()
    try system { () throws(SystemError) in try retrying("look at", path.escaped) { fstat(file.raw, &facts) } }
    return facts
  }

  private func digestAgain(_ file: Descriptor, _ size: UInt64, _ path: TreePath) throws(ArchiveError) -> Digest? {
    var hash = RunningHash()
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var done: UInt64 = 0
    while done < size {
      let count = try system { () throws(SystemError) in
        try retrying("read", path.escaped) {
          pread(file.raw, &buffer, Int(min(UInt64(buffer.count), size - done)), off_t(done))
        }
      }
      if count == 0 { return nil }
      buffer.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
      done += UInt64(count)
    }
    return hash.digest()
  }
}

extension BackupWriter {
  /// An older backup, for the chunks that would be the same.
  struct Base {
    let file: Descriptor
    let chunks: [Digest: ArchiveIndex.Chunk]

    /// nil where it has no index, or none to rely on.
    init?(_ path: String) {
      do throws(ArchiveError) {
        do throws(SystemError) { file = try Descriptor.open(path, flags: O_RDONLY | O_NOFOLLOW) } catch { return nil }
        guard let index = try ArchiveIndex.read(file, path), !index.chunks.isEmpty else { return nil }
        // What no archive of ours has is not reckoned with either.
        let plausible = index.chunks.filter { $0.length <= 1 << 31 && $0.offset <= 1 << 50 }
        chunks = Dictionary(plausible.map { ($0.key, $0) }, uniquingKeysWith: { first, _ in first })
      } catch { return nil }
    }
  }
}

extension stat {
  fileprivate var modified: Int64 { Int64(st_mtim.tv_sec) * 1_000_000_000 + Int64(st_mtim.tv_nsec) }
  fileprivate var changed: Int64 { Int64(st_ctim.tv_sec) * 1_000_000_000 + Int64(st_ctim.tv_nsec) }
}
