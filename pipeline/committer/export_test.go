package committer

func init() { renewAtOnce = 1 }
