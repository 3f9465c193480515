import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import Vocabulary

struct Events: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tells what happened to a service: who started or ended what, when and why.")

  @Argument(help: "The service.") var name: String?
  @Flag(help: "Go on with what happens from now on.") var follow = false
  @Option(help: "How many of the latest events.") var limit = Request.defaultEvents
  @OptionGroup var service: ServiceOptions

  func validate() throws {
    guard (0...Request.maximumEvents).contains(limit) else {
      throw ValidationError("--limit takes 0 to \(Request.maximumEvents)")
    }
  }

  func run() throws {
    let client = try service.connect(name)
    do throws(ClientError) {
      try client.events(limit: limit, follow: follow) { event in
        if service.json { Terminal.print(event.json) } else { Terminal.print(Self.line(event)) }
        return true
      }
    } catch { throw Failure(error, service: try? service.name(name)) }
  }

  /// `2026-11-21 05:43:07.123  worker-exited  web.2 ended with SIGKILL`
  private static func line(_ event: EventReport) -> String {
    var seconds = time_t(event.time.microseconds / 1_000_000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    let two = { (value: Int32) in value < 10 ? "0\(value)" : "\(value)" }
    let milliseconds = String(1_000 + event.time.microseconds / 1_000 % 1_000).dropFirst()
    let date = "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))"
    let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)"
    let kind = event.kind + String(repeating: " ", count: max(0, 20 - event.kind.count))
    return "\(date) \(clock)  \(kind)  \(event.text)"
  }
}

struct Logs: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what a service and its workers printed: journalctl with the right filters.")

  @Argument(help: "The service, if it has to be named, then an engine.") var words: [String] = []
  @Flag(name: [.short, .long], help: "Go on with what is printed from now on.") var follow = false
  @Option(name: [.customShort("n"), .long], help: "How many of the latest lines.") var lines = 100
  @OptionGroup var service: ServiceOptions

  func validate() throws {
    guard words.count <= 2 else { throw ValidationError("say at most a service and an engine") }
  }

  func run() throws {
    // One word is an engine when the service goes without saying.
    let isKnown = words.first.map { word in ServiceOptions.configured.contains(word) } ?? false
    let named = words.count == 2 || isKnown ? words.first : nil
    let engine = words.count == 2 ? words[1] : isKnown ? nil : words.first
    let name = try service.name(named)
    var arguments = ["journalctl", "--no-hostname", "--lines=\(lines)"]
    if follow { arguments.append("--follow") }
    if service.json { arguments.append("--output=json") }
    arguments.append("BATON_SERVICE=\(name)")
    if let engine { arguments.append("BATON_ENGINE=\(engine)") }
    try Program.become(arguments)
  }
}
