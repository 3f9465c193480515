import ControlServer
import LinuxSystem

/// The group `baton`, whose members may command the service: known from the start, and looked up again whenever that may
/// have changed, on a thread of its own. What was known goes on to hold until the answer comes, and where nobody can say.
final class Operators {
  private let loop: EventLoop
  private var isAsked = false
  private(set) var group: UInt32?
  var changed: (UInt32?) -> Void = { _ in }

  private static let name = "baton"

  /// Asks here and now, before the loop runs: it may take as long as the host's directory service does.
  init(_ loop: EventLoop) {
    self.loop = loop
    group = Users.group(named: Self.name)
  }

  /// `group`: as another image of this program knew it.
  init(_ loop: EventLoop, known group: UInt32?) {
    self.loop = loop
    self.group = group
  }

  func lookUp() {
    guard !isAsked else { return }
    isAsked = true
    let reply = loop.reply { [weak self] (answer: Result<UInt32?, SystemError>) in self?.take(answer) }
    HelperThread.run {
      reply.send(Result { () throws(SystemError) in try Users.find(group: Self.name) })
    }
  }

  private func take(_ answer: Result<UInt32?, SystemError>) {
    isAsked = false
    guard case .success(let found) = answer, found != group else { return }
    group = found
    changed(found)
  }
}
