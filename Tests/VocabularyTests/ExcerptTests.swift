import Testing
import Vocabulary

@Suite struct ExcerptTests {
  @Test func oneLineInQuotesWhateverItHolds() {
    #expect(Excerpt.beginning(of: "a\r\n\t\"b\" \\ ü".utf8) == #""a\r\n\t\"b\" \\ ü""#)
    #expect(Excerpt.beginning(of: [0x1B, 0x5B, 0x32, 0x4A, 0x00, 0x7F]) == #""\u{1b}[2J\u{0}\u{7f}""#)
    // The end of a line in Unicode, and a turn of the writing direction.
    #expect(Excerpt.beginning(of: "\u{85}\u{2028}\u{202E}".utf8) == #""\u{85}\u{2028}\u{202e}""#)
    #expect(Excerpt.beginning(of: [0x61, 0xFF]) == "\"a\u{FFFD}\"")
    #expect(Excerpt.beginning(of: []) == "\"\"")
  }

  @Test func whatIsLeftOutIsMarkedAndNoCharacterIsCut() {
    #expect(Excerpt.beginning(of: "abcdef".utf8, limit: 6) == "\"abcdef\"")
    #expect(Excerpt.beginning(of: "abcdefg".utf8, limit: 6) == "\"abcdef\"…")
    for limit in 1...3 { #expect(Excerpt.beginning(of: "€uro".utf8, limit: limit) == (limit < 3 ? "\"\"…" : "\"€\"…")) }
    #expect(Excerpt.end(Array("€uro".utf8)[1...], isCut: true) == "…\"uro\"")
    #expect(Excerpt.end(Array("euro".utf8)[...], isCut: false) == "\"euro\"")
  }
}
