import Testing

@testable import DeploymentRuntime

@Suite struct MaskerTests {
  @Test func everyFormOfAValueIsTakenOut() {
    let masker = Masker(["p@ss w/rd+1", "quo\"te\\d"])
    for form in [
      "p@ss w/rd+1", "p%40ss%20w%2Frd%2B1", "p%40ss%20w%2frd%2b1", "704073732077" + "2f72642b31",
      #"quo\"te\\d"#,
    ] {
      #expect(masker.mask("<\(form)>") == "<***>")
    }
  }

  @Test(arguments: 0..<3, ["secret-value", "another?>value~~"])
  func base64AtEveryOffset(_ offset: Int, _ value: String) {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    let plain = Array(String(repeating: "x", count: offset).utf8) + Array(value.utf8) + Array("yyyy".utf8)
    var encoded: [UInt8] = []
    var buffer = 0
    var bits = 0
    for byte in plain {
      buffer = buffer << 8 | Int(byte)
      bits += 8
      while bits >= 6 {
        bits -= 6
        encoded.append(alphabet[buffer >> bits & 63])
      }
    }
    let masked = Masker([value]).mask(String(decoding: encoded, as: UTF8.self))
    #expect(masked.contains("***"))
    // What is left beside the mark is the surroundings and at most the characters shared with them.
    #expect(masked.utf8.count <= 3 + 2 * 3 + 6)
  }

  @Test func wordsAreNotMangled() {
    let masker = Masker(["live", "true", "abc", "production1"])
    #expect(masker.mask("DELIVERY delivery live, (live) alive live") == "DELIVERY delivery ***, (***) alive ***")
    #expect(masker.mask("true abc") == "true abc")
    #expect(masker.mask("xproduction1x") == "x***x")
  }

  @Test func theLongestCountsAndOverlapsGoWhole() {
    let masker = Masker(["token-1", "token-1-and-more", "more-secret"])
    #expect(masker.mask("token-1-and-more-secret!") == "***!")
    #expect(masker.mask("token-1-and-less") == "***-and-less")
    #expect(masker.mask("aXaXa token-1token-1") == "aXaXa ******")
  }

  @Test func whereverAStreamIsCut() {
    let masker = Masker(["s3cr3t-sentinel", "live"])
    let text = "begin s3cr3t-sentinel live delive\ns3cr3t-sentine s3cr3t-sentinel\nlive"
    let expected = "begin *** *** delive\ns3cr3t-sentine ***\n***"
    let bytes = Array(text.utf8)
    for first in 0...bytes.count {
      for second in first...bytes.count {
        var stream = MaskedStream(masker)
        var out = stream.feed(bytes[..<first])
        out += stream.feed(bytes[first..<second])
        out += stream.feed(bytes[second...])
        out += stream.end()
        #expect(String(decoding: out, as: UTF8.self) == expected)
      }
    }
  }

  @Test func nothingIsLostWithoutSecrets() {
    #expect(Masker().mask("as it is") == "as it is")
    #expect(Masker([]).isEmpty)
  }
}
