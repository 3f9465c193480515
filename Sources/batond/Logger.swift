import Glibc
import Supervision
import SupervisorRuntime
import Vocabulary

/// Where messages and workers' lines go: plain lines on stderr.
final class Logger {
  private let service: ServiceName

  init(service: ServiceName) { self.service = service }

  func log(_ entry: History.Entry) {
    Daemon.say("\(service): \(entry.happening.text)", to: STDERR_FILENO)
  }

  func log(_ line: WorkerProcess.Line, of worker: WorkerID) {
    Daemon.say("\(worker.label) g\(worker.generation) | \(line.text)", to: STDERR_FILENO)
  }
}
