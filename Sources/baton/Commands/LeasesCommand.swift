import ArgumentParser
import ControlClient
import ControlProtocol
import JSON
import Vocabulary

struct LeasesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leases",
    abstract: "Shows the leases that engines of a service need: who has each, with which token, for how long.",
    discussion: "What another host has is shown as the store said it last, which is asked every 5 seconds or so.")

  @OptionGroup var service: NamedService

  func run() throws {
    let report = try service.choice().ask { (client) throws(ClientError) in try client.status() }
    let leases = report.leases ?? []
    if service.json { return Terminal.print(.object(["leases": .array(leases.map(\.json))])) }
    guard !leases.isEmpty else { return Terminal.print("no engine of \(report.service) needs a lease") }
    var table = Table(rightAligned: [5, 6, 7])
    table.append(
      ["LEASE", "HERE", "HELD BY", "ALIVE", "WORKS", "TOKEN", "LEFT", "SINCE", "ENGINES"].map { ($0, .faint) })
    for lease in leases { table.append(row(lease)) }
    for line in table.lines { Terminal.print(line.text(width: nil, colour: Terminal.usesColour)) }
    for error in Set(leases.compactMap(\.storeError)).sorted() {
      Terminal.say("baton: \(plain(leases[0].store)) could not be asked: \(plain(error))")
    }
  }

  private func row(_ lease: StatusReport.Lease) -> [Table.Cell] {
    let colour: StyledLine.Colour? =
      switch lease.state {
      case .held: lease.works ? .green : .yellow
      case .waiting: nil
      case .ending: .yellow
      }
    let isOurs = lease.state == .held || lease.holder == nil && lease.state == .ending
    let holder = isOurs ? "this host" : lease.holder.map { plain($0) } ?? "nobody known"
    let alive = isOurs ? "yes" : lease.holderAlive.map { $0 ? "yes" : "no" } ?? "-"
    let age = Ages.text(.microseconds(max(0, WallTime.now.microseconds - lease.since.microseconds)))
    let token = isOurs ? lease.token : lease.holderToken
    let left = isOurs ? lease.remaining : lease.holderRemaining
    return [
      (lease.name.rawValue, .bold), (lease.state.rawValue, colour), (holder, nil),
      (alive, alive == "no" ? .yellow : nil),
      (lease.state == .held ? (lease.works ? "yes" : "no") : "-", nil), (token.map { "\($0)" } ?? "-", nil),
      (left.map { Ages.text($0) } ?? "-", nil), (age, nil),
      (lease.engines.map(\.rawValue).joined(separator: ", "), nil),
    ]
  }
}
