import ControlProtocol
import Glibc
import Settings
import Vocabulary

/// The checklist's texts, put to the person at the terminal before anything is begun.
enum Confirmation {
  /// true: all of them are confirmed. Nobody is asked where nobody can answer.
  static func ask(_ service: DeployedService) throws -> Bool {
    let texts = service.deploy.checklist.filter { $0.when == .before && $0.run == nil }.map(\.text)
    guard !texts.isEmpty, isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return false }
    for text in texts {
      Terminal.sayRaw("\(plain(text))? [y/N] ")
      let answer = readLine() ?? ""
      guard ["y", "yes"].contains(answer.lowercased()) else {
        throw Failure(.failed, "not confirmed: \(text)", holds: "nothing was begun", next: "see to it, then ask again")
      }
    }
    return true
  }
}
