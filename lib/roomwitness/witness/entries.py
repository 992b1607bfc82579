"""What the custody log says of a hold: ids, dates and kinds; never a reason's text."""

from roomwitness.policy import holds
from roomwitness.policy import meeting as events


def hold_fields(event: events.Event) -> dict[str, str | float | bool | None]:
    """Give the fields beyond the meeting's; a reason may hold names: it stays in the index."""
    match event:
        case events.ReportThreat(hold_id=hold_id, by=by):
            return {"hold": hold_id, "hold_kind": "threat", "by": by}
        case events.PlaceHold(hold=hold):
            return {
                "hold": hold.id,
                "hold_kind": hold.kind,
                "review_date": hold.review_date.timestamp(),
                "by": hold.placed_by,
            }
        case holds.ExtendHold(hold_id=hold_id, review_date=date, by=by):
            return {"hold": hold_id, "review_date": date.timestamp(), "by": by}
        case events.ReleaseHold() | holds.AskRelease() | holds.WithdrawRelease():
            return {"hold": event.hold_id, "by": event.by}
        case events.HandOver(by=by):
            return {"by": by}
        case events.LapseHold(hold_id=hold_id):
            return {"hold": hold_id}
        case _:
            return {}
