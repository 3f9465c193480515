internal import Glibc
package import LinuxSystem
internal import Synchronization

/// One thing in a tree as a manifest has it: owners and times are not part of a release.
package struct TreeItem: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    case directory
    /// Without a digest where contents were not read.
    case file(size: UInt64, digest: Digest?)
    /// Any bytes.
    case link(target: [UInt8])
    /// What no manifest has and a directory may: its noun.
    case other(String)
  }

  package let path: TreePath
  /// 07777; of a link 0777.
  package let mode: UInt32
  package let content: Content

  package init(path: TreePath, mode: UInt32, content: Content) {
    self.path = path
    self.mode = mode
    self.content = content
  }
}

/// What one walk through a directory met, in the order of ``TreePath``; no contents were read.
package struct TreeListing: Sendable {
  package private(set) var items: [TreeItem] = []
  /// Of each item, as it was met.
  package private(set) var facts: [FileFacts] = []

  package init() {}

  /// `mode`: what a visitor has made of the one that was met.
  mutating func append(_ entry: TreeEntry, mode: UInt32) throws(SystemError) {
    let content: TreeItem.Content =
      switch entry.facts.kind {
      case .directory: .directory
      case .file: .file(size: entry.facts.size, digest: nil)
      case .link: .link(target: try readLink(at: entry.directory, entry.name, entry.path.escaped))
      case .socket, .pipe, .characterDevice, .blockDevice: .other(entry.facts.kind.noun)
      }
    items.append(TreeItem(path: entry.path, mode: mode, content: content))
    facts.append(entry.facts)
  }
}

/// Reads what a directory holds, contents hashed on all processors.
package enum TreeContents {
  /// In the order of ``TreePath``. Nothing of `outside`, which is anchored at the top.
  package static func read(
    _ top: String, outside: Set<TreePath> = [], contents: Bool = true, limits: TreeLimits = TreeLimits()
  ) throws(ManifestError) -> [TreeItem] {
    let listing: TreeListing
    do throws(SystemError) { listing = try list(top, outside: outside, limits: limits) } catch { throw .system(error) }
    return contents ? try read(listing, in: top) : listing.items
  }

  /// Names, kinds, modes and sizes alone.
  package static func list(
    _ top: String, outside: Set<TreePath> = [], limits: TreeLimits = TreeLimits()
  ) throws(SystemError) -> TreeListing {
    var listing = TreeListing()
    try TreeWalk.each(in: top, skipping: outside, limits: limits) { (entry) throws(SystemError) in
      try listing.append(entry, mode: entry.facts.mode)
    }
    return listing
  }

  /// The items of a listing, with the hashes of their contents.
  package static func read(_ listing: TreeListing, in top: String) throws(ManifestError) -> [TreeItem] {
    var items = listing.items
    var files: [FileToRead] = []
    for (index, item) in items.enumerated() {
      if case .file(let size, _) = item.content { files.append(FileToRead(index: index, path: item.path, size: size)) }
    }
    guard !files.isEmpty else { return items }
    let digests = try hash(files, in: top)
    for (file, digest) in zip(files, digests) {
      let old = items[file.index]
      items[file.index] = TreeItem(path: old.path, mode: old.mode, content: .file(size: file.size, digest: digest))
    }
    return items
  }

  private struct FileToRead: Sendable {
    let index: Int
    let path: TreePath
    let size: UInt64
  }

  /// Room for one digest a file; each place is written by one thread once and read after all have ended, which makes it
  /// safe to share.
  private struct Results: @unchecked Sendable {
    let digests: UnsafeMutableBufferPointer<Digest?>
  }

  /// Files that one thread takes at a time, and the bytes of one reading: small enough for malloc to keep it.
  private static let batch = 32
  private static let chunk = 1 << 16

  private static func hash(_ files: [FileToRead], in top: String) throws(ManifestError) -> [Digest] {
    let directory: Descriptor
    do { directory = try Descriptor.open(top, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW) } catch {
      throw .system(error)
    }
    let results = Results(digests: .allocate(capacity: files.count))
    results.digests.initialize(repeating: nil)
    defer { results.digests.deallocate() }
    let trouble = Mutex<ManifestError?>(nil)
    Parallel.each(of: (files.count + batch - 1) / batch) { number in
      let end = min(files.count, (number + 1) * batch)
      withUnsafeTemporaryAllocation(byteCount: chunk, alignment: 64) { buffer in
        for index in (number * batch)..<end {
          guard trouble.withLock({ $0 == nil }) else { return }
          do throws(ManifestError) {
            results.digests[index] = try digest(files[index], in: directory, buffer)
          } catch {
            trouble.withLock { $0 = $0 ?? error }
          }
        }
      }
    }
    if let error = trouble.withLock({ $0 }) { throw error }
    return results.digests.compactMap { $0 }
  }

  private static func digest(_ file: FileToRead, in directory: Descriptor, _ buffer: UnsafeMutableRawBufferPointer)
    throws(ManifestError) -> Digest
  {
    let raw = file.path.withPointer { openat(directory.raw, $0, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) }
    guard raw >= 0 else {
      let number = errno
      if number == ENOENT || number == ELOOP { throw .changing(file.path) }
      throw .system(SystemError("open", file.path.escaped, errno: number))
    }
    defer { close(raw) }
    var hash = RunningHash()
    var total: UInt64 = 0
    while true {
      let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(SystemError("read", file.path.escaped, errno: errno))
      }
      hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
      total += UInt64(count)
      // A regular file gives less than was asked for only at its end.
      if count < buffer.count { break }
    }
    guard total == file.size else { throw .changing(file.path) }
    return hash.digest()
  }
}
