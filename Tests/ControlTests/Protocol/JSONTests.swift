import ControlProtocol
import JSON
import Testing

@Suite struct JSONTests {
  private let limits = JSON.Limits.call

  private func read(_ text: String) throws(JSONError) -> JSON { try JSON(text: Array(text.utf8), limits: limits) }

  @Test func keepsOrderAndExactIntegers() throws {
    let text = #"{"z":9223372036854775807,"a":-9223372036854775808,"list":[1,true,null,1.5],"empty":{}}"#
    #expect(try read(text).text == text)
  }

  @Test func writesWhatItReads() throws {
    let value: JSON = ["text": "tab\t quote\" back\\ bell\u{7} ünï\u{1F600} \u{2028}", "del": "\u{7f}"]
    #expect(try read(value.text) == value)
  }

  @Test func neverWritesTheByteThatEndsAMessage() {
    #expect(!JSON.string("a\0b").message.dropLast().contains(0))
    #expect(JSON.string("x").message.last == 0)
  }

  @Test func writesNoNumberThatJSONHasNot() {
    #expect(JSON.real(.nan).text == "null")
    #expect(JSON.real(-.infinity).text == "null")
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,\"a\":2}", "{} {}", "{\"a\":9223372036854775808}", "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\\u0000\"}", "{\"a\":01}", "nul", "{\"a\":1e999}", "\"text alone\"", "{'a':1}",
  ])
  func refuses(_ text: String) {
    #expect(throws: JSONError.self) { try read(text) }
  }

  @Test(
    arguments: [
      [0x7B, 0x22, 0xFF, 0x22, 0x3A, 0x31, 0x7D],  // a byte that is never UTF-8
      [0x5B, 0x22, 0xC0, 0x80, 0x22, 0x5D],  // an overlong NUL
      [0x5B, 0x22, 0xED, 0xA0, 0x80, 0x22, 0x5D],  // a surrogate
      [0x5B, 0x31, 0x00, 0x5D],
    ] as [[UInt8]])
  func refusesBytes(_ bytes: [UInt8]) {
    #expect(throws: JSONError.self) { try JSON(text: bytes, limits: limits) }
  }

  @Test func boundsDepthNumberAndSizeBeforeItBuildsAnything() throws {
    let deep = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
    #expect(throws: Never.self) { try read(deep(32)) }
    #expect(throws: JSONError.self) { try read(deep(33)) }
    #expect(throws: JSONError.self) { try read(deep(100_000)) }
    #expect(throws: JSONError.self) { try read("[" + String(repeating: "1,", count: 5_000) + "1]") }
    #expect(throws: JSONError.self) { try read("[\"" + String(repeating: "x", count: 256 * 1024) + "\"]") }
    // Brackets and commas inside a string are text.
    #expect(throws: Never.self) { try read("[\"" + String(repeating: "[,\\\"", count: 10_000) + "\"]") }
  }
}
