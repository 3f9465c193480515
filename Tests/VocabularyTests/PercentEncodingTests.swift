import Testing
import Vocabulary

@Suite struct PercentEncodingTests {
  @Test(arguments: [
    ("", ""), ("plain", "plain"), ("a%20b", "a b"), ("%C3%a9", "é"), ("100%25", "100%"), ("é", "é"),
  ])
  func isResolved(text: String, decoded: String) { #expect(PercentEncoding.decoded(text) == decoded) }

  @Test(arguments: ["%", "%4", "%zz", "%+1", "%-1", "a%", "%ff", "%C3"])
  func whatIsNoneIsRefused(text: String) { #expect(PercentEncoding.decoded(text) == nil) }
}
