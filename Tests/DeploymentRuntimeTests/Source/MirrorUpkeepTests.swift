import Deployment
import Glibc
import Testing
import Vocabulary

@testable import DeploymentRuntime
@testable import LinuxSystem

@Suite struct MirrorUpkeepTests {
  let scratch = Scratch()
  let repository: GitRepository

  init() throws {
    repository = try GitRepository(in: scratch)
    var files: [String: String] = [:]
    for number in 0...MirrorUpkeep.packs { files["f\(number)"] = "file \(number)\n" }
    try repository.commit(files)
  }

  private func fixture(_ id: String = "op-1") throws -> OperationFixture {
    try OperationFixture("repository = \"DIR/repo\"\n", id: id, scratch: scratch)
  }

  private var mirror: String { "app/deploys/mirror.git" }
  private var packs: Int { scratch.names(in: "\(mirror)/objects/pack").count { $0.hasSuffix(".pack") } }

  /// As many packs as that many fetches bring.
  private func makePacks(_ count: Int) throws {
    for line in try repository.git("ls-tree", "HEAD").split(separator: "\n").prefix(count) {
      let blob = line.split(separator: "\t")[0].split(separator: " ")[2]
      try repository.git(
        ["pack-objects", "--quiet", scratch.path("\(mirror)/objects/pack/pack")], input: Array("\(blob)\n".utf8))
    }
  }

  @Test func manyPacksBecomeOne() throws {
    try FetchStep(.repository(ref: nil), ReleaseWork()).run(try fixture().operation)
    try makePacks(MirrorUpkeep.packs - packs)
    #expect(!MirrorUpkeep.isDue(scratch.path(mirror)))
    try MirrorUpkeep(operation: try fixture().operation).run()
    #expect(packs == MirrorUpkeep.packs, "as long as there are few, nothing is done")
    try makePacks(MirrorUpkeep.packs + 1)
    #expect(MirrorUpkeep.isDue(scratch.path(mirror)))
    let upkeep = try fixture()
    try MirrorUpkeep(operation: upkeep.operation).run()
    #expect(packs == 1 && upkeep.audience.notes == [], "\(packs): \(upkeep.audience.everything)")
    #expect(!MirrorUpkeep.isDue(scratch.path(mirror)))
    // All of it is still there.
    let next = try fixture("op-2")
    try FetchStep(.repository(ref: nil), ReleaseWork()).run(next.operation)
    let release = try #require(next.operation.facts.release)
    #expect(scratch.read("app/releases/\(release)/f7") == "file 7\n")
  }

  @Test func oneThatCannotBePackedIsSaidAndNothingElse() throws {
    try FetchStep(.repository(ref: nil), ReleaseWork()).run(try fixture().operation)
    try makePacks(MirrorUpkeep.packs + 1)
    scratch.write("\(mirror)/HEAD", "garbage")
    let upkeep = try fixture()
    try MirrorUpkeep(operation: upkeep.operation).run()
    #expect(upkeep.audience.notes.contains { $0.contains("is not packed yet") })
  }

  /// A broken mirror is there for a week, a directory in which nothing was begun for two days.
  @Test func whatIsOfNoUseAnyMoreGoesInTime() throws {
    let fixture = try fixture()
    for name in ["mirror.git.broken", "20260101T000000Z-abcd", "20260101T000000Z-dcba", "mine"] {
      scratch.make("app/deploys/\(name)")
    }
    scratch.make("app/releases")
    scratch.write("app/deploys/20260101T000000Z-abcd/source", "half an archive")
    scratch.write("app/deploys/20260101T000000Z-dcba/steps.jsonl", "{}\n")
    func gone(afterDays days: Int64) -> [String] {
      Leftovers(operation: fixture.operation, now: RealTime.seconds() + days * 86_400).paths(without: []).map {
        String($0.dropFirst(scratch.path("app/deploys/").utf8.count))
      }.sorted()
    }
    #expect(gone(afterDays: 0) == [] && gone(afterDays: 1) == [])
    #expect(gone(afterDays: 3) == ["20260101T000000Z-abcd"])
    #expect(gone(afterDays: 8) == ["20260101T000000Z-abcd", "mirror.git.broken"])
    // Somebody is at work in it.
    _ = try AbortPipe(fixture.operation.layout, OperationID("20260101T000000Z-abcd"))
    let attended = try AbortPipe(fixture.operation.layout, OperationID("20260101T000000Z-abcd"))
    #expect(gone(afterDays: 3) == [])
    withExtendedLifetime(attended) {}
  }
}
