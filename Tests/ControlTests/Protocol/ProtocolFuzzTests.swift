import ControlProtocol
import JSON
import Testing

/// Bytes from a seed through framing, JSON and routes: every one of them ends in a value or an error, what is read is
/// written back the same, and how the bytes are cut makes no difference.
@Suite struct ProtocolFuzzTests {
  private static let alphabet = Array("{}[]\",:0123456789.-+eE\\u0truefalsn \t\n\0\u{7F}é".utf8) + [0xC0, 0xED, 0xFF]

  private func bytes(_ random: inout SplitMix) -> [UInt8] {
    var bytes: [UInt8]
    if Bool.random(using: &random) {
      bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
        Self.alphabet.randomElement(using: &random) ?? 0
      }
    } else {
      bytes = (0..<Int.random(in: 1...4, using: &random)).flatMap { _ in
        (RouteTests.requests.randomElement(using: &random) ?? .status).call.message
      }
      for _ in 0..<Int.random(in: 0...5, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = Self.alphabet.randomElement(using: &random) ?? 0
      }
    }
    return bytes
  }

  private func messages(_ bytes: [UInt8], pieces: [Int]) -> [[UInt8]]? {
    var splitter = MessageSplitter(limit: 512)
    var found: [[UInt8]] = []
    var start = 0
    do throws(MessageSplitter.Failure) {
      for end in pieces + [bytes.count] {
        splitter.append(bytes[start..<end])
        start = end
        while let message = try splitter.next() { found.append(Array(message)) }
      }
    } catch { return nil }
    return found
  }

  @Test(arguments: 0..<8) func anyBytes(_: Int) {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix(state: seed)
    for _ in 0..<2_000 {
      let bytes = bytes(&random)
      let cuts = (0..<3).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
      let whole = messages(bytes, pieces: [])
      #expect(whole == messages(bytes, pieces: cuts), "seed \(seed)")
      for message in whole ?? [] {
        if let json = try? JSON(text: message, limits: .call) {
          #expect((try? JSON(text: Array(json.text.utf8), limits: .call)) == json, "seed \(seed): \(json.text)")
        }
        guard let call = try? Call(message: message), let route = try? Route.of(call),
          let request = try? route.request(of: call)
        else { continue }
        #expect((try? route.request(of: request.call)) == request, "seed \(seed)")
      }
    }
  }
}
