package import ControlProtocol
package import Vocabulary

/// Where the outcome of one long act goes. Outlives the caller: when nobody listens any more, everything here is a
/// harmless no-op and the act goes on.
///
/// Ends exactly once: the first of ``finish(_:)`` and ``refuse(_:)`` counts. A reply let go without either tells the
/// caller that the supervisor has a bug, so that nobody waits for ever.
package final class ControlReply {
  package let caller: Caller
  /// The caller hung up before the end. Called once, on the loop's thread.
  package var callerLeft: () -> Void = {}
  private let waits: Bool
  let act: VerdictReport.Act
  private(set) var operation: OperationID?
  private var send: ((Answer) -> Void)?

  enum Answer {
    case progress(Progress)
    case verdict(VerdictReport)
    case error(ControlError)
  }

  /// `send` is called on the loop's thread, and let go after the last answer.
  init(caller: Caller, act: VerdictReport.Act, waits: Bool, send: @escaping (Answer) -> Void) {
    self.caller = caller
    self.act = act
    self.waits = waits
    self.send = send
  }

  deinit {
    guard let send else { return }
    send(.verdict(.dropped(operation: operation, act: act)))
  }

  /// The act has an id and began, or joined one under way. Answers a caller that does not want to wait.
  package func began(_ operation: OperationID, holds: String) {
    self.operation = operation
    guard !waits else { return }
    end(
      .verdict(
        VerdictReport(
          operation: operation, act: act, outcome: .accepted, what: "\(act.rawValue) begun", holds: holds,
          next: "baton status shows how it goes", took: .zero)))
  }

  /// It began in another image of this program, and its caller knows.
  func resume(_ operation: OperationID) { self.operation = operation }

  /// One line of news for a caller that takes more than one reply.
  package func progress(_ text: String, held: Progress.Held? = nil) {
    guard let operation, waits else { return }
    send?(.progress(Progress(operation: operation, text: text, held: held)))
  }

  /// Nobody hears any more how it ends.
  func leave() {
    let told = callerLeft
    callerLeft = {}
    if send.take() != nil { told() }
  }

  package func finish(_ verdict: VerdictReport) { end(.verdict(verdict)) }

  /// The act did not begin.
  package func refuse(_ error: ControlError) { end(.error(error)) }

  private func end(_ answer: Answer) {
    let send = send.take()
    callerLeft = {}
    send?(answer)
  }
}

extension VerdictReport {
  fileprivate static func dropped(operation: OperationID?, act: Act) -> VerdictReport {
    VerdictReport(
      operation: operation ?? OperationID("-"), act: act, outcome: .needsPerson,
      what: "\(act.rawValue): the supervisor lost the call (a bug)", holds: "not known; baton status tells",
      next: "report it, with the journal of the unit", took: .zero)
  }
}

/// Where events of one caller go, until it hangs up.
package final class EventSink {
  private var send: (([EventReport], Bool) -> Void)?
  private let follow: Bool

  init(follow: Bool, send: @escaping ([EventReport], Bool) -> Void) {
    self.follow = follow
    self.send = send
  }

  deinit { send?([], false) }

  /// Whether anybody listens. The supervisor drops a sink that is closed.
  package var isOpen: Bool { send != nil }

  /// The history asked for. Without `follow` this ends the call.
  package func begin(with events: [EventReport]) {
    if follow { send?(events, true) } else { close(with: events) }
  }

  /// One more event, after ``begin(with:)``.
  package func emit(_ event: EventReport) {
    if follow { send?([event], true) }
  }

  /// Ends the call: the supervisor goes away.
  package func close(with events: [EventReport] = []) {
    let send = send.take()
    send?(events, false)
  }

  /// The caller hung up.
  func callerLeft() { send = nil }
}
