// Package values makes JSON of values of any type, and is how those of type any cross.
package values

import (
	"encoding/json"

	"echelon"
)

// Any reads and writes JSON; numbers are float64, objects map[string]any.
func Any() echelon.Type[any] {
	return echelon.Converted(echelon.Text[echelon.JSON](), read, JSON)
}

// Raw is JSON that is not read.
func Raw() echelon.Type[json.RawMessage] {
	return echelon.Converted(
		echelon.Text[echelon.JSON](),
		func(text echelon.JSON) json.RawMessage { return json.RawMessage(text) },
		func(value json.RawMessage) echelon.JSON { return echelon.JSON(value) },
	)
}

func read(text echelon.JSON) any {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		echelon.Fail(err.Error())
	}
	return value
}

// JSON returns the text of a value; one that is none of JSON ends the call.
func JSON(value any) echelon.JSON {
	text, err := json.Marshal(value)
	if err != nil {
		echelon.Fail(err.Error())
	}
	return echelon.JSON(text)
}
