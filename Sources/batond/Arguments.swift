import Glibc
import Vocabulary

/// What batond is told on its command line. Small enough to be read here: no library comes into the supervisor for it.
struct Arguments {
  var settings: String
  var name: ServiceName
  var runtimeDirectory: String?
  var stateDirectory: String?
  /// Only reads the settings and says what it found.
  var isCheck = false
  /// Only reads the settings and the state that a running batond passed, and says whether it could go on from it.
  var isSelfCheck = false

  enum Problem: Error {
    case usage(String)
    case help
    case version
  }

  static let help = """
    USAGE: batond --settings FILE [--name NAME] [--runtime-directory DIR] [--state-directory DIR]
                  [--check | --self-check]

    Keeps one service answering while its code, its settings and its supervisor change.

      --settings FILE          the service's settings, see baton.toml(5)
      --name NAME              the service's name; FILE's name without .toml where it is left out
      --runtime-directory DIR  for the control socket; $RUNTIME_DIRECTORY, /run/baton/NAME or below $XDG_RUNTIME_DIR
      --state-directory DIR    for the ledger; $STATE_DIRECTORY, /var/lib/baton/NAME or below $XDG_STATE_HOME
      --check                  read the settings, say everything that is wrong, and exit with 0 or 78
      --self-check             whether this program could take over from a running batond, which asks it before an upgrade
      --version                print the version
      --help                   print this

    SIGTERM and SIGINT stop in order, SIGHUP reloads. baton(1) operates a running service.
    """

  init(_ arguments: [String]) throws(Problem) {
    var settings: String?
    var name: String?
    var index = 0
    func value(_ option: String) throws(Problem) -> String {
      index += 1
      guard index < arguments.count else { throw .usage("\(option) takes a value") }
      return arguments[index]
    }
    while index < arguments.count {
      switch arguments[index] {
      case "--settings": settings = try value("--settings")
      case "--name": name = try value("--name")
      case "--runtime-directory": runtimeDirectory = try value("--runtime-directory")
      case "--state-directory": stateDirectory = try value("--state-directory")
      case "--check": isCheck = true
      case "--self-check": isSelfCheck = true
      case "--help", "-h": throw .help
      case "--version": throw .version
      case let other: throw .usage("unknown argument \"\(other)\"")
      }
      index += 1
    }
    guard let settings else { throw .usage("--settings FILE is missing") }
    self.settings = settings
    let file = settings.split(separator: "/").last.map(String.init) ?? ""
    let stem = file.hasSuffix(".toml") ? String(file.dropLast(5)) : file
    do { self.name = try ServiceName(name ?? stem) } catch { throw .usage("\(error); --name NAME names the service") }
  }
}
