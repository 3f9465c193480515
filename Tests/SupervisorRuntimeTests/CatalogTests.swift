import Glibc
import SupervisorRuntime
import Systemd
import Testing

/// The journal's catalog and the manual's list against the kinds of messages.
struct CatalogTests {
  private struct Explanation {
    var id: String
    var subject: String
    var text: String
  }

  private static func text(of path: String) throws -> String {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try #require(fopen("/\(root)/\(path)", "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self)
  }

  private static func catalog() throws -> [Explanation] {
    let text = try text(of: "units/baton.catalog")
    var found: [Explanation] = []
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      if line.hasPrefix("-- ") {
        found.append(Explanation(id: String(line.dropFirst(3)), subject: "", text: ""))
      } else if line.hasPrefix("Subject: ") {
        found[found.count - 1].subject = String(line.dropFirst(9))
      } else {
        found[found.count - 1].text += line + "\n"
      }
    }
    return found
  }

  @Test func everyKindHasOneIdAndOneExplanationAndNoneIsLeftOver() throws {
    let explained = try Self.catalog()
    let kinds = MessageKind.allCases.map { $0.id.description }
    #expect(Set(kinds).count == kinds.count)
    #expect(explained.map(\.id).sorted() == kinds.sorted())
    for one in explained {
      #expect(one.subject.hasPrefix("baton: "), "\(one.id)")
      #expect(one.text.contains("Documentation: man:batond(8)"), "\(one.id)")
    }
  }

  /// A field the entry never has would be shown as `@NAME@`.
  @Test func explanationsNameOnlyFieldsTheEntriesHave() throws {
    let known: Set<String> = [
      "BATON_SERVICE", "BATON_ENGINE", "BATON_WORKER", "BATON_GENERATION", "BATON_RELEASE", "BATON_OPERATION",
      "BATON_FROM", "BATON_TO", "BATON_REASON",
    ]
    for one in try Self.catalog() {
      let named = (one.subject + " " + one.text).split(separator: "@", omittingEmptySubsequences: false)
      for (index, part) in named.enumerated() where index % 2 == 1 {
        #expect(known.contains(String(part)), "\(one.id)")
      }
    }
  }

  @Test func thePageListsEveryKindInOrder() throws {
    let page = try Self.text(of: "man/batond.8")
    let section = try #require(page.split(separator: ".Sh MESSAGES").last?.split(separator: ".Sh EXIT STATUS").first)
    let listed = section.split(separator: "\n").filter { $0.hasPrefix(".It Li ") }.map { String($0.dropFirst(7)) }
    #expect(listed == MessageKind.allCases.map(\.rawValue))
  }
}
