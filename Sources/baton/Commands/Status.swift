import ArgumentParser
import ControlClient
import ControlProtocol
import Glibc
import Vocabulary

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows a service on one screen: engines, workers, generations, sockets, the last handover and why.")

  @Argument(help: "The service.") var name: String?
  @OptionGroup var service: ServiceOptions

  func run() throws {
    let report = try service.status(of: name)
    if service.json { return Terminal.print(report.json) }
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    let now = Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    for line in StatusText(report: report, now: now).lines { Terminal.print(line) }
  }
}

extension ServiceOptions {
  func status(of name: String?) throws -> StatusReport {
    let client = try connect(name)
    do throws(ClientError) {
      return try client.status()
    } catch { throw Failure(error, service: try? self.name(name)) }
  }
}
