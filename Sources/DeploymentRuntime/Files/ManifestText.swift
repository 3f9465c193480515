internal import LinuxSystem
internal import Vocabulary

/// A manifest as a file: a head of `word value`, a blank line, one line a thing, and the hash of all that. The same
/// manifest is always the same bytes.
///
///     d 755 bin
///     f 755 182304 9f86d081… bin/main
///     l shared/logs ../../shared/logs
enum ManifestText {
  private static let title = "baton-manifest 1"
  /// A file that is larger is none of ours.
  static let sizeLimit = 256 << 20

  // MARK: Writing

  static func text(of manifest: Manifest) -> [UInt8] {
    let origin = manifest.origin
    var head = [title, "release \(value(origin.release.text))", "operation \(value(origin.operation.text))"]
    head += ["made \(DateText.text(origin.made))", "who \(value(origin.who))", "source \(value(origin.source))"]
    if let ref = origin.ref { head.append("ref \(value(ref))") }
    if let commit = origin.commit { head.append("commit \(value(commit))") }
    if let toolchain = origin.toolchain { head.append("toolchain \(value(toolchain))") }
    head += manifest.outside.sorted().map { "outside \($0.escaped)" }
    head += ["items \(manifest.items.count)", "tree \(manifest.treeHash)", "", ""]
    var text = Array(head.joined(separator: "\n").utf8)
    text += lines(manifest.items)
    let hash = Digest.of(text)
    text += Array("end \(hash)\n".utf8)
    return text
  }

  static func lines(_ items: [TreeItem]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(items.count * 128)
    let space = UInt8(ascii: " ")
    for item in items {
      switch item.content {
      case .directory:
        text.append(UInt8(ascii: "d"))
        text.append(space)
        DecimalText.append(UInt64(item.mode), to: &text, radix: 8)
        text.append(space)
      case .file(let size, let digest):
        text.append(UInt8(ascii: "f"))
        text.append(space)
        DecimalText.append(UInt64(item.mode), to: &text, radix: 8)
        text.append(space)
        DecimalText.append(size, to: &text)
        text.append(space)
        digest?.write(to: &text)
        text.append(space)
      case .link:
        text.append(UInt8(ascii: "l"))
        text.append(space)
      case .other: continue
      }
      text += item.path.escaped.utf8
      if case .link(let target) = item.content {
        text.append(space)
        text += Array(EscapedText.escape(target).utf8)
      }
      text.append(UInt8(ascii: "\n"))
    }
    return text
  }

  /// On one line, blanks as they are.
  private static func value(_ text: String) -> String {
    text.split(separator: " ", omittingEmptySubsequences: false).map { EscapedText.escape(Array($0.utf8)) }
      .joined(separator: " ")
  }

  // MARK: Reading

  static func read(_ path: String) throws(ManifestError) -> Manifest {
    let bytes: [UInt8]
    do { bytes = try readFile(path, limit: sizeLimit) } catch { throw .system(error) }
    return try parse(bytes)
  }

  /// As ``read(_:)``, without looking at the items one by one.
  static func origin(_ path: String) throws(ManifestError) -> Manifest.Origin {
    let bytes: [UInt8]
    do { bytes = try readFile(path, limit: sizeLimit) } catch { throw .system(error) }
    var reader = Reader(rest: try body(bytes))
    return try reader.origin()
  }

  /// Takes exactly what ``text(of:)`` writes.
  static func parse(_ bytes: [UInt8]) throws(ManifestError) -> Manifest {
    var reader = Reader(rest: try body(bytes))
    return try reader.manifest()
  }

  /// All but the last line, whose hash it must have.
  private static func body(_ bytes: [UInt8]) throws(ManifestError) -> ArraySlice<UInt8> {
    // "end ", 64 digits and the newline.
    guard bytes.count > 69, bytes.last == UInt8(ascii: "\n") else { throw .damaged(line: 0, "it has no end") }
    let body = bytes[..<(bytes.count - 69)]
    let end = bytes[(bytes.count - 69)..<(bytes.count - 1)]
    guard end.starts(with: Array("end ".utf8)), let hash = Digest(hex: end.dropFirst(4)) else {
      throw .damaged(line: 0, "it has no end")
    }
    guard Digest.of(body) == hash else { throw .damaged(line: 0, "its hash is not that of its text") }
    return body
  }

  private struct Reader {
    var rest: ArraySlice<UInt8>
    var line = 0

    mutating func next() throws(ManifestError) -> ArraySlice<UInt8> {
      guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else { throw .damaged(line: line, "it ends too early") }
      line += 1
      defer { rest = rest[(end + 1)...] }
      return rest[..<end]
    }

    func damaged(_ why: String) -> ManifestError { .damaged(line: line, why) }

    mutating func origin() throws(ManifestError) -> Manifest.Origin { try origin(head().values) }

    mutating func manifest() throws(ManifestError) -> Manifest {
      let (values, outside) = try head()
      guard let count = values["items"].flatMap({ Int($0) }), (0...Manifest.itemLimit).contains(count) else {
        throw damaged("it has no number of items, or too many")
      }
      let lines = rest
      let items = try items(count)
      let treeHash = Digest.of(lines)
      guard rest.isEmpty, values["tree"] == treeHash.hex else {
        throw damaged("its tree hash is not that of its items")
      }
      return Manifest(origin: try origin(values), outside: outside, items: items, treeHash: treeHash)
    }

    private mutating func head() throws(ManifestError) -> (values: [String: String], outside: Set<TreePath>) {
      guard try next().elementsEqual(title.utf8) else { throw damaged("it is no manifest of this version") }
      var values: [String: String] = [:]
      var outside: Set<TreePath> = []
      while true {
        let (word, value) = try headLine()
        if word.isEmpty { break }
        if word == "outside" {
          guard let path = TreePath(escaped: Array(value.utf8)) else { throw damaged("no path") }
          outside.insert(path)
        } else if values.updateValue(value, forKey: word) != nil {
          throw damaged("\(word) is there twice")
        }
      }
      return (values, outside)
    }

    private mutating func headLine() throws(ManifestError) -> (word: String, value: String) {
      let line = try next()
      if line.isEmpty { return ("", "") }
      guard let space = line.firstIndex(of: UInt8(ascii: " ")),
        let word = String(validating: line[..<space], as: UTF8.self),
        let value = String(validating: line[(space + 1)...], as: UTF8.self)
      else { throw damaged("no word and value") }
      return (word, value)
    }

    private func origin(_ values: [String: String]) throws(ManifestError) -> Manifest.Origin {
      func text(_ word: String) -> String? {
        values[word].flatMap { EscapedText.unescape(Array($0.utf8)) }.map { String(decoding: $0, as: UTF8.self) }
      }
      guard let release = text("release"), let operation = text("operation"), let source = text("source"),
        let who = text("who"), let made = values["made"].flatMap({ DateText.seconds($0) })
      else { throw damaged("its head is not complete") }
      return Manifest.Origin(
        release: ReleaseID(release), operation: OperationID(operation), source: source, ref: text("ref"),
        commit: text("commit"), who: who, made: made, toolchain: text("toolchain"))
    }

    private mutating func items(_ count: Int) throws(ManifestError) -> [TreeItem] {
      var items: [TreeItem] = []
      items.reserveCapacity(count)
      for _ in 0..<count {
        let words = try next().split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard let item = Self.item(words) else { throw damaged("no file, directory or link") }
        // In order, so that nothing is there twice.
        if let last = items.last, !(last.path < item.path) { throw damaged("out of order") }
        items.append(item)
      }
      return items
    }

    private static func item(_ words: [ArraySlice<UInt8>]) -> TreeItem? {
      guard let kind = words.first?.first, words[0].count == 1 else { return nil }
      switch (kind, words.count) {
      case (UInt8(ascii: "d"), 3):
        guard let mode = mode(words[1]), let path = path(words[2]) else { return nil }
        return TreeItem(path: path, mode: mode, content: .directory)
      case (UInt8(ascii: "f"), 5):
        guard let mode = mode(words[1]), let size = number(words[2]), let digest = Digest(hex: words[3]),
          let path = path(words[4])
        else { return nil }
        return TreeItem(path: path, mode: mode, content: .file(size: size, digest: digest))
      case (UInt8(ascii: "l"), 3):
        guard let path = path(words[1]), let target = EscapedText.unescape(words[2]), !target.isEmpty else {
          return nil
        }
        return TreeItem(path: path, mode: 0o777, content: .link(target: target))
      default: return nil
      }
    }

    private static func path(_ word: ArraySlice<UInt8>) -> TreePath? {
      TreePath(escaped: word).flatMap { $0.isTop ? nil : $0 }
    }

    private static func mode(_ word: ArraySlice<UInt8>) -> UInt32? {
      UInt32(String(decoding: word, as: UTF8.self), radix: 8).flatMap { $0 <= 0o7777 ? $0 : nil }
    }

    private static func number(_ word: ArraySlice<UInt8>) -> UInt64? { UInt64(String(decoding: word, as: UTF8.self)) }
  }
}
