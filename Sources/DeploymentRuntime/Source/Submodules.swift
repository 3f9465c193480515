import Deployment
import LinuxSystem
import Vocabulary

/// Submodules of a commit, with those in them: each has a mirror of its own.
struct Submodules {
  let mirror: Mirror
  let commit: String
  let directory: String
  /// How deep submodules may lie in each other.
  static let depthLimit = 8

  func export(_ files: [GitFile], depth: Int = 0) throws(StepFailure) {
    guard !files.isEmpty else { return }
    guard depth < Self.depthLimit else {
      throw StepFailure(.failed, "submodules lie more than \(Self.depthLimit) deep in each other at \(directory)")
    }
    let urls = try urls()
    for file in files {
      guard let url = urls[file.path] else {
        throw StepFailure(
          .failed, "the submodule at \(file.path) has no URL in .gitmodules of commit \(commit.prefix(12))",
          next: "add it there, or remove the submodule (git rm)")
      }
      let inner = Mirror(mirror.operation, of: url, at: Self.path(of: url, mirror.operation.layout))
      if try !inner.has(file.object) { try bring(file, inner) }
      let place = "\(directory)/\(file.path)"
      let export = TreeExport(mirror: inner, commit: file.object, directory: place)
      try make(place)
      let outcome = try export.run()
      try Submodules(mirror: inner, commit: file.object, directory: place).export(outcome.submodules, depth: depth + 1)
    }
  }

  private func bring(_ file: GitFile, _ inner: Mirror) throws(StepFailure) {
    let operation = mirror.operation
    do throws(SystemError) {
      try DurableFiles(operation.effects, operation: operation.id).makeDirectories(
        Self.directory(operation.layout))
    } catch { throw StepFailure(.failed, error) }
    try inner.update()
    if try !inner.has(file.object) { try? inner.fetch(commit: file.object) }
    guard try inner.has(file.object) else {
      throw StepFailure(
        .failed, "commit \(file.object.prefix(12)) of the submodule \(file.path) is not in \(inner.shownURL)",
        next: "push the submodule, too: git push --recurse-submodules=on-demand")
    }
  }

  private func make(_ place: String) throws(StepFailure) {
    let operation = mirror.operation
    do throws(SystemError) {
      try DurableFiles(operation.effects, operation: operation.id).makeDirectories(place)
    } catch { throw StepFailure(.failed, error) }
  }

  static func directory(_ layout: Layout) -> String { "\(layout.deploys)/modules" }

  /// Adds the mirrors that this commit needs, with those in them, without fetching anything.
  func note(_ used: inout Set<String>, depth: Int = 0) throws(StepFailure) {
    guard depth < Self.depthLimit else { return }
    let list = try mirror.git.answer(["ls-tree", "-r", "-z", "--full-tree", commit])
    let files = try GitFile.parse(list.captured, limit: TreeExport.limit).filter { $0.kind == .submodule }
    guard !files.isEmpty else { return }
    let urls = try urls()
    for file in files {
      guard let url = urls[file.path] else { continue }
      let inner = Mirror(mirror.operation, of: url, at: Self.path(of: url, mirror.operation.layout))
      used.insert(inner.path)
      guard try inner.has(file.object) else { continue }
      try Submodules(mirror: inner, commit: file.object, directory: "").note(&used, depth: depth + 1)
    }
  }

  static func path(of url: String, _ layout: Layout) -> String {
    "\(directory(layout))/\(Digest.of(Array(url.utf8)).hex.prefix(16)).git"
  }

  /// By path, absolute.
  private func urls() throws(StepFailure) -> [TreePath: String] {
    let result = try mirror.git.answer(["config", "--blob", "\(commit):.gitmodules", "-z", "--list"])
    var paths: [String: TreePath] = [:]
    var urls: [String: String] = [:]
    for record in result.captured.split(separator: 0) {
      guard let feed = record.firstIndex(of: 0x0A) else { continue }
      let key = String(decoding: record[..<feed], as: UTF8.self)
      let value = String(decoding: record[(feed + 1)...], as: UTF8.self)
      if key.hasSuffix(".path") { paths[String(key.dropLast(5))] = TreePath(value) }
      if key.hasSuffix(".url") { urls[String(key.dropLast(4))] = Self.absolute(value, from: mirror.url) }
    }
    var found: [TreePath: String] = [:]
    for (name, path) in paths { found[path] = urls[name] }
    return found
  }

  /// `../other.git` is relative to the repository that names it. Source: git-submodule(1).
  static func absolute(_ url: String, from base: String) -> String {
    guard url.hasPrefix("./") || url.hasPrefix("../") else { return url }
    var base = base
    while base.hasSuffix("/") { base.removeLast() }
    var rest = Substring(url)
    while true {
      if rest.hasPrefix("./") {
        rest = rest.dropFirst(2)
      } else if rest.hasPrefix("../") {
        rest = rest.dropFirst(3)
        guard let cut = base.lastIndex(where: { $0 == "/" || $0 == ":" }) else { break }
        // host:path of ssh has its path behind the colon.
        base = base[cut] == ":" ? String(base[...cut]) : String(base[..<cut])
      } else {
        break
      }
    }
    return base.hasSuffix(":") ? base + rest : "\(base)/\(rest)"
  }
}
