// Jobs over HTTP: POST adds one, DELETE takes the oldest one, GET counts them. It needs the permission `kv` for "queue".
package main

import (
	"echelon"
	"echelon/kv"
	"echelon/values"
	"fmt"
	"net/url"
)

// Job is what waits.
type Job struct {
	Number uint64 `json:"number"`
	Text   string `json:"text"`
}

var waiting, last = kv.Key{"queue", "jobs"}, kv.Key{"queue", "last"}

//export handle
func handle(request *echelon.Request) *echelon.Response {
	switch request.Method {
	case "GET":
		jobs, _ := kv.List{Prefix: waiting, Limit: 1000}.Read()
		return answer(200, len(jobs))
	case "POST":
		return add(request)
	case "DELETE":
		return take()
	}
	return answer(405, "add a job with POST, take one with DELETE").With("allow", "DELETE, GET, POST")
}

func add(request *echelon.Request) *echelon.Response {
	query, _ := url.ParseQuery(request.Query)
	if query.Get("job") == "" {
		return answer(400, "say what is to be done: ?job=bake")
	}
	new(kv.Atomic).Sum(last, 1).Commit()
	entry, _ := kv.Get(last)
	job := Job{entry.Number(), query.Get("job")}
	kv.Set(append(waiting, int(job.Number)), values.JSON(job))
	echelon.Info(fmt.Sprintf("job %d waits", job.Number))
	return answer(201, job)
}

// take gives the oldest job to one caller, however many ask at once.
func take() *echelon.Response {
	jobs, _ := kv.List{Prefix: waiting, Limit: 10}.Read()
	for _, entry := range jobs {
		if _, ok := new(kv.Atomic).Check(entry.Key, entry.Version).Delete(entry.Key).Commit(); ok {
			return echelon.ReplyJSON(echelon.JSON(entry.Text()))
		}
	}
	return answer(404, "no job waits")
}

func answer(status int, value any) *echelon.Response {
	return echelon.ReplyJSON(values.JSON(value)).WithStatus(status)
}
