import Glibc
import Settings
import Testing

/// baton.toml(5) and the table of keys say the same, both ways.
@Suite struct ManPageTests {
  private static let path =
    #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/man/baton.toml.5"

  /// What stands under each `.Ss [SECTION]` as `.It Ic KEY` and the line after it.
  private func documented() throws -> [String: String] {
    let file = try #require(fopen(Self.path, "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 18)
    bytes.removeSubrange(fread(&bytes, 1, bytes.count, file)...)
    var found: [String: String] = [:]
    var section = ""
    var key: String?
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
      if let item = key {
        #expect(found.updateValue(String(line), forKey: "\(section) \(item)") == nil, "\(section) \(item) stands twice")
        key = nil
      }
      if line.hasPrefix(".Sh ") { section = "" }
      if line.hasPrefix(".Ss ") { section = String(line.dropFirst(4)) }
      if line.hasPrefix(".It Ic "), !section.isEmpty { key = String(line.dropFirst(7)) }
    }
    return found
  }

  @Test func manPageAndTableAgree() throws {
    let documented = try documented()
    let known = Dictionary(
      uniqueKeysWithValues: KnownKey.allCases.map { key in
        ("\(key.section.title) \(key.name)", "\(key.entry.form.accepted); \(key.entry.fallback.text).")
      })
    #expect(Set(documented.keys).subtracting(known.keys).isEmpty, "documented and unknown")
    for (key, line) in known {
      #expect(documented[key] == line, "\(key)")
    }
  }
}
