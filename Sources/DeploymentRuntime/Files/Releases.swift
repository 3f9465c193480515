package import Deployment
internal import Glibc
package import LinuxSystem
package import Vocabulary

/// The releases of one service on the disk, and which one `current` names.
package struct Releases {
  package let layout: Layout
  package let files: DurableFiles

  /// One directory below `releases/`.
  package struct Found: Hashable, Sendable {
    package let id: ReleaseID
    /// It has its manifest, which is written last. Without: left over from a deploy that was killed or is under way.
    package let isComplete: Bool
  }

  /// What `current` is.
  package enum Pointer: Hashable, Sendable {
    /// Nothing of that name: no deploy yet.
    case none
    case release(ReleaseID)
    /// It names a release that is not there.
    case dangling(ReleaseID)
    /// It names something that is no release of this service.
    case foreign(target: String)
    /// A directory or a file, as a person's `cp -r` leaves it.
    case noLink(noun: String)
  }

  package init(_ layout: Layout, _ files: DurableFiles) {
    self.layout = layout
    self.files = files
  }

  /// Makes what is missing of the layout. Backups and records are the deploy user's alone; releases are read by the
  /// service; a setgid `shared/` passes its group on, so that the service can be let write there.
  package func prepare() throws(SystemError) {
    try files.makeDirectory(layout.releases, mode: 0o755)
    try files.makeDirectory(layout.shared, mode: 0o755)
    try files.makeDirectory(layout.backups, mode: 0o700)
    try files.makeDirectory(layout.deploys, mode: 0o755)
  }

  /// In the order of their names.
  package func list() throws(SystemError) -> [Found] {
    guard try FileFacts.ifPresent(layout.releases) != nil else { return [] }
    let names = Set(try directoryEntries(layout.releases))
    var found: [Found] = []
    for name in names.sorted() {
      let id = ReleaseID(name)
      guard id.hasForm, try FileFacts.ifPresent(layout.release(id))?.kind == .directory else { continue }
      found.append(Found(id: id, isComplete: names.contains("\(name).manifest")))
    }
    return found
  }

  package func pointer() throws(SystemError) -> Pointer {
    guard let facts = try FileFacts.ifPresent(layout.current) else { return .none }
    guard facts.kind == .link else { return .noLink(noun: facts.kind.noun) }
    let target = String(decoding: try readLink(layout.current), as: UTF8.self)
    let inside = target.hasPrefix("/") ? "\(layout.releases)/" : "releases/"
    let id = ReleaseID(String(target.dropFirst(inside.count)))
    guard target.hasPrefix(inside), id.hasForm else { return .foreign(target: target) }
    return try FileFacts.ifPresent(layout.release(id))?.kind == .directory ? .release(id) : .dangling(id)
  }

  /// The release `current` names; nil before the first deploy.
  ///
  /// - Throws: `refused` with the remedy where it names none that is there.
  package func current() throws(StepFailure) -> ReleaseID? {
    let path = layout.current
    switch try asFailure({ () throws(SystemError) in try pointer() }) {
    case .none: return nil
    case .release(let id): return id
    case .dangling(let id):
      throw StepFailure(
        .refused, "\(path) names the release \(id), which is not there",
        next: "put it back from its archive: baton backup restore, or remove \(path) if nothing runs from it")
    case .foreign(let target):
      throw StepFailure(
        .refused, "\(path) names \(EscapedText.escape(Array(target.utf8))), which is no release of this service",
        next: "move that directory to \(layout.releases) with baton adopt, or remove the link")
    case .noLink(let noun):
      throw StepFailure(
        .refused, "\(path) is a \(noun) and not a symbolic link to a release", next: "take it over with baton adopt")
    }
  }

  /// Lets `current` name a release, in one instant and durably. The link is relative: the whole tree may be moved.
  ///
  /// - Throws: ENOENT where there is no such release: it never dangles by this.
  package func point(to id: ReleaseID) throws(SystemError) {
    if files.effects.mode == .act, try FileFacts.of(layout.release(id)).kind != .directory {
      throw SystemError("point to", layout.release(id), errno: ENOTDIR)
    }
    try files.replaceSymlink(layout.current, with: "releases/\(id)")
  }

  /// An empty directory for a new release, the deploy user's, open to the service's reading.
  ///
  /// - Throws: EEXIST where there is one of that name.
  package func create(_ id: ReleaseID) throws(SystemError) -> String {
    let path = layout.release(id)
    guard id.hasForm else { throw SystemError("make the release", id.text, errno: EINVAL) }
    guard try FileFacts.ifPresent(path) == nil else { throw SystemError("make the release", path, errno: EEXIST) }
    try files.makeDirectory(path, mode: 0o755)
    return path
  }

  /// Removes a release, or what there is of it. Its manifest goes first, so that it is incomplete before it is.
  ///
  /// - Returns: what became free; what another release has as well (hard links) did not.
  @discardableResult
  package func discard(_ id: ReleaseID) throws(StepFailure) -> ByteCount {
    if case .release(id) = try asFailure({ () throws(SystemError) in try pointer() }) {
      throw StepFailure(.refused, "\(layout.current) names the release \(id)")
    }
    return try asFailure { () throws(SystemError) in
      try files.remove(layout.manifest(id))
      return try files.discardTree(layout.release(id))
    }
  }

  /// Whether the release is on the disk as it was made: its files are what its manifest says.
  ///
  /// - Returns: the manifest.
  /// - Throws: `refused` with the first differences.
  @discardableResult
  package func verify(_ id: ReleaseID, contents: Bool = true) throws(StepFailure) -> Manifest {
    let found: (manifest: Manifest, differences: TreeDifferences)
    do throws(ManifestError) {
      let manifest = try Manifest.read(layout.manifest(id))
      guard manifest.origin.release == id else {
        throw .damaged(line: 0, "it is that of \(manifest.origin.release)")
      }
      found = (manifest, try manifest.differences(in: layout.release(id), contents: contents))
    } catch {
      throw StepFailure(.refused, "the release \(id) cannot be verified: \(error)")
    }
    guard found.differences.isEmpty else {
      throw StepFailure(
        .refused, "the release \(id) is not what its manifest says: \(found.differences.summary)",
        lines: found.differences.first.map(\.description))
    }
    return found.manifest
  }
}

/// Lets what a step does to files fail as a step does.
package func asFailure<Answer>(_ body: () throws(SystemError) -> Answer) throws(StepFailure) -> Answer {
  do throws(SystemError) { return try body() } catch { throw StepFailure(.failed, error) }
}

extension ReleaseID {
  /// `YYYYMMDDTHHMMSSZ-COMMIT7-RANDOM4`. Names sort by time, and nothing is ever chosen by that.
  package static func make(commit: String?, at seconds: Int64 = RealTime.seconds()) -> ReleaseID {
    let short = commit.map { String($0.prefix(7)) } ?? "none"
    let random = (0..<4).map { _ in String(UInt8.random(in: 0..<16), radix: 16) }.joined()
    return ReleaseID("\(DateText.stamp(seconds))-\(short)-\(random)")
  }

  /// Letters, digits and `-`, as every id of ours is and a name of another kind below `releases/` is not.
  package var hasForm: Bool {
    !text.isEmpty && text.utf8.count <= 64 && text.utf8.first != UInt8(ascii: "-")
      && text.utf8.allSatisfy { byte in
        (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
          || (byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")) || byte == UInt8(ascii: "-")
      }
  }
}
