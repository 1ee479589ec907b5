package history

// KeepStates sets how many events and changes lie between two kept states.
func (b *Builder) KeepStates(every int) { b.stateEvery = every }
