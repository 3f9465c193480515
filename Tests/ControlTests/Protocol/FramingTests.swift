import ControlProtocol
import Testing

@Suite struct FramingTests {
  private func messages(_ pieces: [[UInt8]], limit: Int = 100) throws -> [[UInt8]] {
    var splitter = MessageSplitter(limit: limit)
    var found: [[UInt8]] = []
    for piece in pieces {
      splitter.append(piece)
      while let message = try splitter.next() { found.append(Array(message)) }
    }
    return found
  }

  @Test func findsTheSameMessagesInEveryCut() throws {
    let stream: [UInt8] = Array("{}\0\0{\"a\":1}\0rest".utf8)
    let expected = [Array("{}".utf8), [], Array("{\"a\":1}".utf8)]
    #expect(try messages([stream]) == expected)
    #expect(try messages(stream.map { [$0] }) == expected)
    for cut in 0...stream.count {
      #expect(try messages([Array(stream[..<cut]), Array(stream[cut...])]) == expected)
    }
  }

  @Test func refusesAMessageThatIsTooLongWhetherItEndsOrNot() throws {
    let long = [UInt8](repeating: 1, count: 101)
    #expect(throws: MessageSplitter.Failure.tooLong(limit: 100)) { try messages([long]) }
    #expect(throws: MessageSplitter.Failure.tooLong(limit: 100)) { try messages([long + [0]]) }
    #expect(try messages([Array(long.dropLast()) + [0]]).count == 1)
  }

  @Test func holdsNoMoreThanWhatIsNotTaken() throws {
    var splitter = MessageSplitter(limit: 1_000)
    for _ in 0..<10_000 {
      splitter.append([UInt8](repeating: 1, count: 999) + [0])
      #expect(try splitter.next()?.count == 999)
      #expect(splitter.count == 0)
    }
    #expect(!splitter.isInsideMessage)
    splitter.append([1])
    #expect(splitter.isInsideMessage)
  }
}
