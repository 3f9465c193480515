import Glibc
import LinuxSystem
import Testing
import Vocabulary

/// Whatever others write, what reads it ends in time and without a trap.
///
/// `BATON_FUZZ_SECONDS`: so long for each format, else a fixed number of inputs. `BATON_FUZZ_SEED`: other inputs.
/// `BATON_FUZZ_FORMATS`: these alone. A trap leaves its input in `BATON_FUZZ_FOLDER` (or /tmp), as `fuzz-FORMAT`; once
/// mended it belongs into Found/FORMAT.
@Suite(.serialized) struct FuzzTests {
  private static let folder = #filePath.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
  /// Thousands of small messages take two seconds under a sanitizer on a busy machine; what has no end takes longer.
  private static let slowest = Duration.seconds(10)

  @Test(.timeLimit(.minutes(30)), arguments: Format.all)
  func mutatedInputs(of format: Format) throws {
    if let only = variable("BATON_FUZZ_FORMATS"), !only.isEmpty,
      !only.split(separator: " ").contains(Substring(format.name))
    {
      return
    }
    let corpus = try files(of: "Corpus", format)
    #expect(!corpus.isEmpty, "no corpus")
    let seed = variable("BATON_FUZZ_SEED").flatMap { UInt64($0) } ?? 1
    let until = variable("BATON_FUZZ_SECONDS").flatMap { Int64($0) }.map { Instant.now + .seconds($0) }
    var mutator = Mutator(seed: seed, corpus: corpus)
    var current = try CurrentInput(of: format)
    var count = 0
    while until.map({ Instant.now < $0 }) ?? (count < format.inputs) {
      let bytes = mutator.next()
      current.note(bytes)
      let began = Instant.now
      do { try format.check(bytes, &mutator) } catch {
        Issue.record(
          "input \(count) of seed \(seed), \(bytes.count) bytes: \(error); kept in \(try current.keep(count))")
      }
      if Instant.now - began > Self.slowest {
        Issue.record("input \(count) of seed \(seed) took \(Instant.now - began); kept in \(try current.keep(count))")
      }
      count += 1
    }
    if until != nil { print("fuzz \(format.name): \(count) inputs of seed \(seed)") }
  }

  /// Also what is there already: the corpus as it is, and what was found once.
  @Test(arguments: Format.all) func knownInputs(of format: Format) throws {
    let corpus = try files(of: "Corpus", format)
    for bytes in corpus + (try files(of: "Found", format)) {
      var mutator = Mutator(seed: 1, corpus: corpus)
      for _ in 0..<20 { try format.check(bytes, &mutator) }
    }
  }

  private func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  private func files(of kind: String, _ format: Format) throws -> [[UInt8]] {
    let place = "\(Self.folder)/\(kind)/\(format.name)"
    guard let directory = opendir(place) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return try names.sorted().map { try CurrentInput.read("\(place)/\($0)") }
  }
}

extension Instant {
  fileprivate static var now: Instant { .monotonicNow() }
}
