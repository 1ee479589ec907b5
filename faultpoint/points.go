package faultpoint

// Steps of package journal.
const (
	JournalMetaCreated     = "journal.meta.created"
	JournalMetaWritten     = "journal.meta.written"
	JournalBootHalf        = "journal.boot.half"
	JournalBootRaised      = "journal.boot.raised"
	JournalCeilingRaised   = "journal.ceiling.raised"
	JournalSegmentMade     = "journal.segment.made"
	JournalSegmentHeader   = "journal.segment.header"
	JournalSegmentNamed    = "journal.segment.named"
	JournalSegmentReady    = "journal.segment.ready"
	JournalClaimed         = "journal.append.claimed"
	JournalSyncSegment     = "journal.sync.segment"
	JournalSyncDone        = "journal.sync.done"
	JournalSealSynced      = "journal.seal.synced"
	JournalIndexWritten    = "journal.index.written"
	JournalIndexNamed      = "journal.index.named"
	JournalSealed          = "journal.seal.done"
	JournalRecoveryCleared = "journal.recovery.cleared"
	JournalRecoverySynced  = "journal.recovery.synced"
	JournalRecoveryRemoved = "journal.recovery.removed"
	JournalRetainArchived  = "journal.retain.archived"
	JournalRetainRemoved   = "journal.retain.removed"
	JournalRetainIndex     = "journal.retain.index"
	JournalCloseSynced     = "journal.close.synced"
)

// Rare paths of package journal.
const (
	JournalBacklog    = "journal.backlog"
	JournalEarlyRoll  = "journal.roll.early"
	JournalNoIndex    = "journal.index.none"
	JournalNoSpare    = "journal.retain.nospare"
	JournalLateSeal   = "journal.seal.late"
	JournalMetaBehind = "journal.meta.behind"
	JournalShortAhead = "journal.prepare.short"
	JournalLateRetain = "journal.retain.late"
)

// Steps of package journal/checkpoint.
const (
	CheckpointWritten = "checkpoint.written"
	CheckpointNamed   = "checkpoint.named"
)

// Steps and rare paths of package loop.
const (
	LoopRecovered  = "loop.recovered"
	LoopBeginning  = "loop.beginning"
	LoopStamped    = "loop.stamped"
	LoopStepped    = "loop.stepped"
	LoopCheckpoint = "loop.checkpoint"

	LoopSmallBatch      = "loop.batch.small"
	LoopEarlyCheckpoint = "loop.checkpoint.early"
	LoopBacklog         = "loop.offer.backlog"
	LoopHeld            = "loop.held.full"
	LoopLateTimers      = "loop.timers.late"
	LoopEarlyCeiling    = "loop.ceiling.early"
)

// A Kind is what a point is.
type Kind uint8

// The kinds of point.
const (
	Step Kind = iota + 1 // between two steps: Hit
	Rare                 // a path that is taken rarely: Buggify
)

var kindNames = [...]string{Step: "step", Rare: "rare"}

// String is the kind's name.
func (k Kind) String() string { return kindNames[k] }

// A Point is a place in production code.
type Point struct {
	Name string
	Kind Kind
	Doc  string // a Step: what is done, and what isn't yet. A Rare: what is done instead
}

// Points returns all points, in a fixed order.
func Points() []Point {
	return []Point{
		{JournalMetaCreated, Step, "A new journal has its meta file; boot number and first segment are still to come."},
		{JournalMetaWritten, Step, "A slot of meta is written that is to be made durable, and isn't yet."},
		{JournalBootHalf, Step, "The new boot number is durable in one slot of meta, and the other one has the old."},
		{JournalBootRaised, Step, "The new boot number is durable in both slots; nothing else of this start is."},
		{JournalCeilingRaised, Step, "The clock ceiling is durable and the loop doesn't know."},
		{JournalSegmentMade, Step, "A segment's file is preallocated, or the spare opened, and has no header of its own yet."},
		{JournalSegmentHeader, Step, "A segment's header is durable and the file hasn't its name."},
		{JournalSegmentNamed, Step, "A segment has its name, not durably."},
		{JournalSegmentReady, Step, "A segment has its name durably and no claim can go there yet."},
		{JournalClaimed, Step, "A frame's place is claimed and the frame isn't published. A failure leaves padding."},
		{JournalSyncSegment, Step, "A sync has stamped bytes of this segment, and perhaps of later ones, still to write."},
		{JournalSyncDone, Step, "All that is stamped is durable and meta says less."},
		{JournalSealSynced, Step, "A segment is stamped to its end and durable, and has no index."},
		{JournalIndexWritten, Step, "A segment's index is durable under its temporary name."},
		{JournalIndexNamed, Step, "A segment's index has its name, not durably."},
		{JournalSealed, Step, "A segment has its index and is still mapped."},
		{JournalRecoveryCleared, Step, "Recovery has cleared what lies behind the end of history, not durably."},
		{JournalRecoverySynced, Step, "Recovery has made the truncation of one segment durable; others, later segments and meta are still to come."},
		{JournalRecoveryRemoved, Step, "Recovery has removed a segment behind the end, not durably."},
		{JournalRetainArchived, Step, "A segment that goes is in the archive and still here."},
		{JournalRetainRemoved, Step, "A segment is gone or has become the spare, not durably."},
		{JournalRetainIndex, Step, "A segment is gone durably and its index is still there."},
		{JournalCloseSynced, Step, "The journal is being closed: all is durable, and meta doesn't say that it ended in order."},

		{JournalBacklog, Rare, "While others wait for their stamps, a claim is refused with ErrBacklog although there is room."},
		{JournalEarlyRoll, Rare, "A claim goes to the next segment although this one has room; the rest of this one is padding."},
		{JournalNoIndex, Rare, "A sealed segment gets no index, as on a full disk."},
		{JournalNoSpare, Rare, "A segment that goes is removed instead of kept as the spare."},
		{JournalLateSeal, Rare, "This Maintain seals nothing."},
		{JournalMetaBehind, Rare, "After a sync meta isn't told how much is durable, as if that write had been lost."},
		{JournalShortAhead, Rare, "This Maintain prepares one segment at most."},
		{JournalLateRetain, Rare, "This Maintain removes nothing."},

		{CheckpointWritten, Step, "A checkpoint is durable under its temporary name."},
		{CheckpointNamed, Step, "A checkpoint has its name, not durably."},

		{LoopRecovered, Step, "The node has recovered its state and nothing of this start is in the journal."},
		{LoopBeginning, Step, "Some of what this start adds is in the journal, and this frame isn't."},
		{LoopStamped, Step, "An event is stamped and not stepped."},
		{LoopStepped, Step, "An event is stepped and none of its effects is asked for."},
		{LoopCheckpoint, Step, "A checkpoint is about to be taken."},
		{LoopSmallBatch, Rare, "This Poll takes one event at most."},
		{LoopEarlyCheckpoint, Rare, "A checkpoint is taken although none is due."},
		{LoopBacklog, Rare, "While others wait for their stamps, a frame that is offered is refused with journal.ErrBacklog although there is room."},
		{LoopHeld, Rare, "While outputs wait for the disk no further event is stepped, as if there were too many."},
		{LoopLateTimers, Rare, "Due timers are left to the next Poll."},
		{LoopEarlyCeiling, Rare, "The clock ceiling is raised although there is room below it."},
	}
}
