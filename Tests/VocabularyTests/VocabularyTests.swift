import Testing
import Vocabulary

/// Random numbers that come again with the same seed. Source: SplitMix64 (Steele, Lea, Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Small and large values alike.
  mutating func wide() -> UInt64 { next() >> UInt64.random(in: 0..<64, using: &self) }

  /// Characters that parsers of this project look for, in any order.
  mutating func junk() -> String {
    let alphabet = Array("0123456789.:[]/*%-+eEnafKMGTBsmhdu x\u{0}é🙂_")
    let length = Int.random(in: 0...12, using: &self)
    return String((0..<length).compactMap { _ in alphabet.randomElement(using: &self) })
  }
}

@Suite struct QuantityTests {
  @Test(arguments: [
    ("30s", 30_000_000_000), ("100ms", 100_000_000), ("1.5s", 1_500_000_000), ("2m", 120_000_000_000),
    ("1h", 3_600_000_000_000), ("1m30s", 90_000_000_000), ("1d2h", 93_600_000_000_000), ("5us", 5_000), ("0s", 0),
    ("0.001ms", 1_000),
  ]) func readsDurations(_ text: String, _ nanoseconds: Int64) throws {
    #expect(try Duration(text: text).nanoseconds == nanoseconds)
  }

  @Test(arguments: [
    "", "30", "s", "-5s", "+5s", "1e3s", ".5s", "5.s", "1..5s", "1,5s", " 5s", "5 s", "5x", "5min", "99999999999999d",
    "٣s", "0x5s",
  ])
  func refusesOtherDurations(_ text: String) {
    #expect(throws: QuantityError.self) { try Duration(text: text) }
  }

  @Test func writesDurationsForPeople() {
    #expect(Duration.nanoseconds(1_234_567_891).text == "1.234s")
    #expect(Duration.nanoseconds(1_234_567).text == "1.234ms")
    #expect(Duration.seconds(90).text == "1m30s")
    #expect(Duration.seconds(3_600).text == "1h")
    #expect(Duration.zero.text == "0s")
    #expect(Duration.milliseconds(-1_500).text == "-1.5s")
    #expect(Duration.nanoseconds(Int64.min).text.hasPrefix("-106751d"))
  }

  @Test func durationsReadBack() throws {
    var generator = SeededGenerator(seed: 1)
    for _ in 0..<10_000 {
      let duration = Duration.nanoseconds(Int64(generator.wide() % 900_000_000_000_000_000))
      #expect(try Duration(text: duration.exactText) == duration)
      let milliseconds = Duration.milliseconds(duration.milliseconds)
      #expect(try Duration(text: milliseconds.text) == milliseconds)
    }
  }

  @Test func sizesReadBack() throws {
    #expect(try ByteCount(text: "512M").bytes == 512 << 20)
    #expect(try ByteCount(text: "0B").bytes == 0)
    #expect(ByteCount(1_536 << 20).description == "1.5G")
    var generator = SeededGenerator(seed: 2)
    for _ in 0..<10_000 {
      let size = ByteCount(generator.wide())
      #expect(try ByteCount(text: size.text) == size)
      #expect(!size.description.isEmpty)
    }
  }

  @Test(arguments: ["", "M", "512", "512MB", "-1M", "1.5G", "0x1M", "16777216T", "18446744073709551616B", "1 M"])
  func refusesOtherSizes(_ text: String) {
    #expect(throws: QuantityError.self) { try ByteCount(text: text) }
  }

  @Test func everyShareReadsBack() throws {
    for points in 0...UInt32(10_000) {
      let share = Share(clamping: points)
      #expect(try Share(text: share.description) == share)
    }
    #expect(Share(clamping: 20_000) == .whole)
    #expect(try Share(text: "0.5%").basisPoints == 50)
    #expect(try Share(text: "100.00%") == .whole)
  }

  @Test(arguments: [
    "", "%", "5", "100.01%", "101%", "-1%", "+5%", "nan%", "inf%", "0x5%", "1e1%", "0.005%", "5.%", ".5%", "1.2.3%",
  ])
  func refusesOtherShares(_ text: String) {
    #expect(throws: QuantityError.self) { try Share(text: text) }
  }

  /// Whatever is accepted reads back from what it is printed as; nothing traps.
  @Test func junkIsRefusedOrMeansSomething() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<50_000 {
      let text = generator.junk()
      if let duration = try? Duration(text: text) { #expect((try? Duration(text: duration.exactText)) == duration) }
      if let size = try? ByteCount(text: text) { #expect((try? ByteCount(text: size.text)) == size) }
      if let share = try? Share(text: text) { #expect((try? Share(text: share.description)) == share) }
      if let address = try? SocketAddress(text: text) { #expect((try? SocketAddress(text: address.text)) == address) }
      if let name = try? EngineName(text) { #expect(EngineName(rawValue: name.description) == name) }
    }
  }
}

@Suite struct InstantTests {
  /// A supervisor must not die of a long timeout.
  @Test func arithmeticSaturates() {
    let last = Instant(nanoseconds: .max)
    let first = Instant(nanoseconds: .min)
    #expect(last + .seconds(1) == last)
    #expect(first + .seconds(-1) == first)
    #expect(last - first == .nanoseconds(Int64.max))
    #expect(first - last == .nanoseconds(Int64.min))
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
    #expect(Instant.zero + .milliseconds(5) == Instant(nanoseconds: 5_000_000))
    #expect(Duration.milliseconds(1_999).milliseconds == 1_999 && Duration.milliseconds(1).microseconds == 1_000)
  }

  @Test func differencesUndoSums() {
    var generator = SeededGenerator(seed: 4)
    for _ in 0..<10_000 {
      let start = Instant(nanoseconds: Int64(generator.wide() >> 2))
      let wait = Duration.nanoseconds(Int64(generator.wide() >> 2))
      #expect((start + wait) - start == wait)
      #expect(start <= start + wait)
    }
  }
}

@Suite struct NameTests {
  @Test func names() throws {
    for text in ["a", "0", "web-2_x", String(repeating: "a", count: 64)] {
      #expect(try ServiceName(text).rawValue == text)
      #expect(SocketName(rawValue: text)?.description == text)
    }
    for text in ["", "-a", "_a", "A", "a.b", "a b", "é", "a\u{0}", String(repeating: "a", count: 65)] {
      #expect(throws: NameError.self) { try EngineName(text) }
      #expect(SocketName(rawValue: text) == nil)
    }
    #expect(try EngineName("a") < EngineName("b"))
  }

  @Test func identifiersSayWhatTheyAre() throws {
    let worker = WorkerID(generation: GenerationID(3), engine: try EngineName("web"), slot: 2, run: 4)
    #expect(worker.label == "web.2")
    #expect(worker.description == "web.2#4@3")
    #expect(worker < WorkerID(generation: GenerationID(4), engine: try EngineName("a"), slot: 1, run: 1))
    #expect(GenerationID(1).next == GenerationID(2))
    #expect(ReleaseID("r1").description == "r1" && OperationID("o").description == "o")
  }
}
