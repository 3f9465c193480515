import Glibc
import Testing
import Vocabulary

@testable import LinuxSystem
@testable import SupervisorRuntime

@Suite struct WorkerOutputTests {
  /// A worker's two pipes with the writing ends in the test's hand.
  final class Pipes {
    let loop: EventLoop
    let output: WorkerOutput
    let standardOutput: Descriptor
    let standardError: Descriptor
    private(set) var lines: [String] = []
    private(set) var errors: [String] = []

    init(_ loop: EventLoop, budget: OutputBudget = OutputBudget()) throws {
      self.loop = loop
      let first = try Descriptor.pipe(nonblockingReader: true)
      let second = try Descriptor.pipe(nonblockingReader: true)
      standardOutput = first.writer
      standardError = second.writer
      output = try WorkerOutput(loop: loop, output: first.reader, error: second.reader, budget: budget)
      output.printed = { [unowned self] stream, line in
        if stream == .output { lines.append(line) } else { errors.append(line) }
      }
    }

    func print(_ bytes: [UInt8], error: Bool = false) throws {
      let raw = (error ? standardError : standardOutput).raw
      #expect(write(raw, bytes, bytes.count) == bytes.count)
      try loop.settle()
    }

    func print(_ text: String, error: Bool = false) throws { try print(Array(text.utf8), error: error) }
  }

  let loop: EventLoop
  init() throws { loop = try EventLoop() }

  @Test func linesComeWholeInWhateverPieces() throws {
    let pipes = try Pipes(loop)
    for byte in "one\ntwo\r\n\nthree".utf8 { try pipes.print([byte]) }
    #expect(pipes.lines == ["one", "two", ""])
    try pipes.print("?\nfour\nfive\n")
    #expect(pipes.lines == ["one", "two", "", "three?", "four", "five"])
    try pipes.print("oops\n", error: true)
    #expect(pipes.errors == ["oops"])
    #expect(pipes.output.tail == ["one", "two", "three?", "four", "five", "oops"])
  }

  @Test func aLastLineWithoutEndIsDeliveredAtTheEnd() throws {
    let pipes = try Pipes(loop)
    try pipes.print("panic: half")
    #expect(pipes.lines.isEmpty)
    pipes.standardOutput.close()
    try loop.settle()
    #expect(pipes.lines == ["panic: half"])
    #expect(pipes.output.saved(.output) == nil)
    #expect(pipes.output.saved(.error) != nil)
  }

  @Test func drainTakesWhatIsThereAlthoughOthersHoldThePipe() throws {
    let pipes = try Pipes(loop)
    let text = "a\nb\nlast words"
    #expect(write(pipes.standardOutput.raw, text, text.utf8.count) == text.utf8.count)
    pipes.output.drain()
    #expect(pipes.lines == ["a", "b", "last words"])
    #expect(pipes.output.tail == ["a", "b", "last words"])
    try pipes.print("grandchild\n")
    #expect(pipes.lines.last == "grandchild")
  }

  @Test func onlyTheLastTwentyLinesAreKept() throws {
    let pipes = try Pipes(loop)
    try pipes.print((1...50).map { "line \($0)\n" }.joined())
    #expect(pipes.lines.count == 50)
    #expect(pipes.output.tail == (31...50).map { "line \($0)" })
  }

  @Test func aLongLineIsCutAndMarkedAndTheNextIsWhole() throws {
    let pipes = try Pipes(loop)
    let exact = String(repeating: "e", count: LineSplitter.limit)
    try pipes.print(exact + "\n" + exact + "f and more\nnext\n")
    #expect(pipes.lines == [exact, exact + LineSplitter.mark, "next"])
    // A character on the border is left out as a whole.
    let head = String(repeating: "h", count: LineSplitter.limit - 1)
    try pipes.print(head + "ü\nnext\n")
    #expect(pipes.lines.suffix(2) == [head + LineSplitter.mark, "next"])
    #expect(pipes.output.tail.allSatisfy { $0.utf8.count <= OutputTail.lineLimit })
  }

  @Test func bytesThatAreNoTextAreRepaired() throws {
    let pipes = try Pipes(loop)
    try pipes.print([0x61, 0xFF, 0x62, 0x00, 0x63, 0x0A])
    #expect(pipes.lines == ["a\u{FFFD}b␀c"])
    #expect(pipes.output.tail == ["a\u{FFFD}b␀c"])
  }

  @Test func beyondTheBudgetLinesAreDroppedCountedAndToldOncePerInterval() throws {
    let budget = OutputBudget(lines: 5, per: .milliseconds(200))
    let pipes = try Pipes(loop, budget: budget)
    try pipes.print((1...100).map { "line \($0)\n" }.joined())
    #expect(pipes.lines == (1...5).map { "line \($0)" })
    #expect(pipes.output.tail == (81...100).map { "line \($0)" })
    try loop.run { !pipes.errors.isEmpty }
    #expect(pipes.errors == ["[baton] 95 lines dropped: more than 5 in 200ms"])
    try pipes.print("again\n")
    #expect(pipes.lines.last == "again")
    #expect(pipes.errors.count == 1)
  }

  @Test func closeTellsWhatWasDroppedAndDeliversNothingAfterwards() throws {
    let pipes = try Pipes(loop, budget: OutputBudget(lines: 1, per: .seconds(60)))
    try pipes.print("a\nb\nc\n")
    pipes.output.close()
    #expect(pipes.errors == ["[baton] 2 lines dropped: more than 1 in 1m"])
    try loop.settle()
    #expect(pipes.lines == ["a"])
  }

  @Test func manyLinesAreDeliveredInPortionsAndInOrder() throws {
    let pipes = try Pipes(loop, budget: OutputBudget(lines: 100_000))
    let all = (1...8_000).map { "\($0)" }
    let bytes = Array(all.map { $0 + "\n" }.joined().utf8)
    #expect(write(pipes.standardOutput.raw, bytes, bytes.count) == bytes.count)
    var before = 0
    while pipes.lines.count < all.count {
      try loop.turn(waiting: false)
      #expect(pipes.lines.count - before <= 2 * WorkerOutput.lineBudget)
      try #require(pipes.lines.count > before)
      before = pipes.lines.count
    }
    #expect(pipes.lines == all)
  }

  @Test func closeFromWithinALineIsTheLast() throws {
    let pipes = try Pipes(loop)
    let output = pipes.output
    var lines: [String] = []
    output.printed = { _, line in
      lines.append(line)
      if line == "stop" { output.close() }
    }
    try pipes.print("go\nstop\nnever\nrest")
    output.drain()
    #expect(lines == ["go", "stop"])
    output.printed = { _, _ in }
  }

  /// 100 MB through the pipe: the timer beside it goes on, the worker is never blocked, and nothing piles up.
  @Test func aFloodStallsNothing() throws {
    let first = try Descriptor.pipe(nonblockingReader: true)
    let second = try Descriptor.pipe(nonblockingReader: true)
    let output = try WorkerOutput(loop: loop, output: first.reader, error: second.reader, budget: OutputBudget())
    var count = 0
    output.printed = { _, _ in count += 1 }
    var request = SpawnRequest(
      program: "/bin/sh", arguments: ["sh", "-c", "yes | head -c 100000000; echo done"],
      environment: ["PATH": "/usr/bin:/bin"])
    request.standardOutput = first.writer
    request.standardError = second.writer
    let reaper = TestReaper(loop)
    var hasEnded = false
    let child = try request.spawn()
    reaper.watch(child.pid) { _ in hasEnded = true }
    var longestGap = Duration.zero
    var ticks = 0
    var last = Instant.monotonicNow()
    func tick() {
      let now = Instant.monotonicNow()
      longestGap = max(longestGap, now - last)
      last = now
      ticks += 1
      loop.schedule(after: .milliseconds(1), tick)
    }
    tick()
    try loop.run(within: .seconds(120)) { hasEnded }
    output.drain()
    #expect(output.tail.last == "done")
    #expect((10_000..<40_000).contains(count))
    #expect(ticks > 20)
    #expect(longestGap < .milliseconds(500), "the loop was held for \(longestGap)")
    output.close()
    print("flood: \(ticks) ticks, longest gap \(longestGap), \(count) lines delivered")
  }
}
